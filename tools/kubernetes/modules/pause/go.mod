module example.org/afkit/pause

go 1.26.0
