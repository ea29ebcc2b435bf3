# Sourced by scripts/run and scripts/demo: a cloud with the two example services, a provider, a
# consumer with money, and an app that is subscribed. Every step may be repeated.
#
# Expects: $cloud, the cloud's folder. Sets: $server (process id), $gateway, $api, $key.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
stoa="$root/build/stoa"

say() { printf '%s\n' "$*"; }
quietly() { "$stoa" "$@" --cloud "$cloud" --json >/dev/null; }
ask() { "$stoa" "$@" --cloud "$cloud" --json; }

# A cloud whose rate card is not all zero, so that a bill shows each of its three parts.
write_configuration() {
	mkdir -p "$cloud"
	[ -e "$cloud/cloud.yaml" ] && return
	cat >"$cloud/cloud.yaml" <<'YAML'
# An example cloud's settings; docs/settings.md describes each of them.
name: agora
currency: USD

# What the cloud charges callers to run a call, and its share of what providers earn.
rates:
  call: 0.0000002
  gib_second: 0.000016667
  vcpu_second: 0.0000405
  gib: {host: 0, zone: 0, cloud: 0.01, intercloud: 0.09}
fee: 3%

gateway: 127.0.0.1:8080
api: 127.0.0.1:7070
YAML
}

# start_cloud [ARGUMENTS of stoa serve]: returns once it is ready.
start_cloud() {
	local ready line
	write_configuration
	ready=$(mktemp -u)
	mkfifo "$ready"
	# A session of its own, so that Ctrl-C reaches this script alone, which stops it in order.
	setsid "$stoa" serve --cloud "$cloud" "$@" >"$ready" 2>"$cloud/serve.log" &
	server=$!
	# Its end closes the pipe, so this read ends in any case.
	read -r line <"$ready" || line=
	rm -f "$ready"
	if [ "${line%% *}" != ready ]; then
		say "the cloud did not start; the end of $cloud/serve.log:" >&2
		tail -n 5 "$cloud/serve.log" >&2
		return 1
	fi
	gateway=$(sed 's/.* gateway=\([^ ]*\).*/\1/' <<<"$line")
	api=$(sed 's/.* api=\([^ ]*\).*/\1/' <<<"$line")
}

# Drains calls in flight, stops the instances, ends the process.
stop_cloud() {
	[ -n "${server:-}" ] || return 0
	kill -TERM "$server" 2>/dev/null || true
	wait "$server" 2>/dev/null || true
	server=
}

has_account() { ask account list | grep -q "\"name\": *\"$1\""; }

# Providers atelier (thumbs) and scriptorium (words); consumer acme with its app shop.
prepare_example() {
	local name
	for name in atelier scriptorium acme; do
		has_account "$name" || quietly account create "$name"
	done
	quietly publish "$root/build/examples/thumbs/service.yaml" --as atelier
	quietly publish "$root/build/examples/words/service.yaml" --as scriptorium
	if [ ! -e "$cloud/example.key" ]; then
		quietly fund acme 10.00
		quietly app create acme/shop
		quietly subscribe acme/shop thumbs:payg --budget 5.00/month
		quietly subscribe acme/shop words:payg
		(umask 077 && ask key create acme/shop |
			sed -n 's/.*"key": *"\([^"]*\)".*/\1/p' >"$cloud/example.key")
	fi
	key=$(cat "$cloud/example.key")
}

# Until every call is in the ledger: some hundredths of a second.
wait_until_posted() {
	local tries
	for tries in $(seq 100); do
		ask status | grep -oE '"(written|posted)": *[0-9]+' |
			awk -F '[": ]+' '{ sum[$2] += $3 } END { exit sum["written"] != sum["posted"] }' &&
			return
		sleep 0.05
	done
	say "the calls are not in the ledger yet: see $cloud/serve.log" >&2
	return 1
}

# call_service SERVICE PATH [ARGUMENTS of curl]: a call by name, through the gateway.
call_service() {
	local service=$1 path=$2
	shift 2
	curl --silent --show-error --fail-with-body --max-time 30 \
		-H "Authorization: Bearer $key" "$@" "http://$service.localhost:${gateway##*:}$path"
}
