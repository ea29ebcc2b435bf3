// Clients of Node.js that tests run: node client.js KIND GATEWAY SERVICE KEY COUNT [tls]
//
// With `tls` they trust the authority whose certificate NODE_EXTRA_CA_CERTS names.
// Each makes COUNT calls with a nonce of their own, and prints the answers as a JSON list.
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import { createRequire } from "node:module";

// Packages are installed elsewhere; where, NODE_PATH says, which only require() reads.
const require = createRequire(import.meta.url);
const [kind, gateway, service, key, count, tls] = process.argv.slice(2);
const secure = tls ? "s" : "";
const nonces = Array.from({ length: Number(count) }, (_, number) => `${kind}${number}`);
const fields = { Host: `${service}.localhost`, "X-API-Key": key };

const clients = {
	// fetch() sets Host itself, so the path names the service.
	async fetch() {
		const ask = async (nonce) => {
			const answer = await fetch(`http${secure}://${gateway}/${service}/call/${nonce}`, {
				headers: { "X-API-Key": key }, method: "POST", body: "hello" });
			if (answer.status !== 200) throw new Error(`status ${answer.status}`);
			return answer.text();
		};
		return Promise.all(nonces.map(ask));
	},

	async http2() {
		const session = http2.connect(`http${secure}://${gateway}`);
		const ask = (nonce) => new Promise((resolve, reject) => {
			const stream = session.request({ ":path": `/call/${nonce}`,
				":authority": fields.Host, "x-api-key": key });
			let body = "";
			stream.setEncoding("utf8");
			stream.on("data", (data) => { body += data; });
			stream.on("end", () => resolve(body));
			stream.on("error", reject);
		});
		const answers = await Promise.all(nonces.map(ask));
		session.close();
		return answers;
	},

	async ws() {
		const { WebSocket } = require("ws");
		const socket = new WebSocket(`ws${secure}://${gateway}/echo`, { headers: fields });
		await new Promise((resolve, reject) => {
			socket.on("open", resolve);
			socket.on("error", reject);
		});
		const answers = [];
		const ended = new Promise((resolve) => { socket.on("close", resolve); });
		socket.on("message", (data) => {
			answers.push(data.toString());
			if (answers.length === nonces.length) socket.close();
		});
		for (const nonce of nonces) socket.send(nonce);
		await ended;
		return answers;
	},

	async events() {
		const { EventSource } = require("eventsource");
		const withFields = (url, options) => fetch(url, {
			...options, headers: { ...options.headers, "X-API-Key": key } });
		const source = new EventSource(`http${secure}://${gateway}/${service}/events/${count}`,
			{ fetch: withFields });
		return new Promise((resolve, reject) => {
			const answers = [];
			source.onerror = (why) => { source.close(); reject(new Error(why.message)); };
			source.onmessage = (event) => {
				answers.push(event.data);
				if (answers.length < nonces.length) return;
				source.close();
				resolve(answers);
			};
		});
	},

	async grpc() {
		const grpc = require("@grpc/grpc-js");
		const credentials = tls
			? grpc.credentials.createSsl(readFileSync(process.env.NODE_EXTRA_CA_CERTS))
			: grpc.credentials.createInsecure();
		const client = new grpc.Client(gateway, credentials, {
			"grpc.default_authority": fields.Host,
			...(tls && { "grpc.ssl_target_name_override": fields.Host }) });
		const metadata = new grpc.Metadata();
		metadata.set("x-api-key", key);
		const same = (bytes) => bytes;
		const ask = (nonce) => new Promise((resolve, reject) => {
			client.makeUnaryRequest("/test.Echo/Unary", same, same, Buffer.from(nonce),
				metadata, {}, (why, answer) => (why ? reject(why) : resolve(answer.toString())));
		});
		const answers = await Promise.all(nonces.map(ask));
		client.close();
		return answers;
	},
};

console.log(JSON.stringify(await clients[kind]()));
