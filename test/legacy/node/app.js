// An application that uploads to one URL and downloads from another, with a proxy agent of its own as applications of this
// age have. What it trusts comes from NODE_EXTRA_CA_CERTS.
const http = require("http"), https = require("https"), tls = require("tls");
const proxy = new URL(process.env.HTTPS_PROXY);

class Agent extends https.Agent {
  createConnection(options, done) {
    const target = `${options.host}:${options.port}`;
    const connect = http.request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: target, headers: { host: target } });
    connect.on("connect", (res, socket) => {
      if (res.statusCode !== 200) return done(new Error(`CONNECT: ${res.statusCode}`));
      done(null, tls.connect({ socket, servername: options.host }));
    });
    connect.on("error", done);
    connect.end();
  }
}

const agent = new Agent({ keepAlive: true });

function send(method, url, body) {
  return new Promise((resolve, reject) => {
    const req = https.request(url, { method, agent, headers: body ? { "content-length": body.length } : {} }, (res) => {
      const parts = [];
      res.on("data", (d) => parts.push(d));
      res.on("end", () => resolve({ status: res.statusCode, body: Buffer.concat(parts) }));
    });
    req.on("error", reject);
    req.end(body);
  });
}

(async () => {
  const data = Buffer.from("the application's bytes ".repeat(10000));
  const put = await send("PUT", process.argv[2], data);
  if (put.status !== 200) throw new Error(`PUT: ${put.status} ${put.body}`);
  const got = await send("GET", process.argv[3]);
  if (!got.body.equals(data)) throw new Error("other bytes come back");
  console.log("done");
  agent.destroy();
})().catch((e) => { console.error(e); process.exit(1); });
