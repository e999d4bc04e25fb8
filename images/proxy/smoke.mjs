// The requests of smoke.sh: a route is made by whoever has the token, and reaches what it names.
import http from "node:http";

const backend = http.createServer((_, answer) => answer.end("behind the proxy")).listen(8002, "127.0.0.1");
const api = (token, body) =>
  fetch("http://127.0.0.1:8001/api/routes/there", {
    method: "POST",
    headers: { Authorization: `token ${token}` },
    body: JSON.stringify(body),
  });
const patient = async (what) => {
  for (let left = 1000; ; left--) {
    try {
      return await what();
    } catch (error) {
      if (!left) throw error;
      await new Promise((done) => setTimeout(done, 20));
    }
  }
};
const expect = (what, found, wanted) => {
  if (found !== wanted) throw new Error(`${what}: ${found} instead of ${wanted}`);
};

expect("a stranger's route", (await patient(() => api("guessed", { target: "http://127.0.0.1:8002" }))).status, 403);
expect("the hub's route", (await api("smoke", { target: "http://127.0.0.1:8002" })).status, 201);
expect("through the proxy", await (await fetch("http://127.0.0.1:8000/there/")).text(), "behind the proxy");
console.log(JSON.stringify({ machine: process.arch, node: process.version }));
backend.close();
process.exit(0);
