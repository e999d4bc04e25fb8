"""The facility file as pydantic sees it: one model a section. What passes is not yet checked across sections."""
