# shellcheck shell=bash
# Builds, starts and queries a simulator. Sourced by scripts that define fail and until_true.

# need_binaries sets binary, the operator's, and simulator_binary: from CORTECS_OPERATOR_BINARY and CORTECS_SIMULATOR_BINARY, or
# else cargo builds both at once, so that their shared crates are built once.
need_binaries() {
	binary=${CORTECS_OPERATOR_BINARY:-} simulator_binary=${CORTECS_SIMULATOR_BINARY:-}
	if [[ -z $binary || -z $simulator_binary ]]; then
		local built
		built=$(cargo build --quiet --locked -p cortecs-operator -p cortecs-simulator --bins --message-format=json-render-diagnostics |
			sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
		: "${binary:=$(grep '/cortecs-operator$' <<<"$built")}" "${simulator_binary:=$(grep '/cortecs-simulator$' <<<"$built")}"
	fi
	[[ -x $binary && -x $simulator_binary ]] || fail "cargo named no binaries"
}

# start_simulator LOG FLAG... starts a simulator at a free port of this machine, for the client that CORTECS_CLIENT_ID and
# CORTECS_CLIENT_SECRET name. It sets simulator to the process id; the caller must end this process.
start_simulator() {
	simulator_log=$1
	: >"$simulator_log"
	"$simulator_binary" --listen 127.0.0.1:0 "${@:2}" >"$simulator_log" 2>&1 &
	simulator=$!
}

# await_simulator waits until the simulator answers, and sets api_url and api_address.
await_simulator() {
	until_true "the simulator" simulator_is_up
	api_address=${api_url#http://} && api_address=${api_address%%/*}
}
simulator_is_up() {
	kill -0 "$simulator" 2>/dev/null || fail "the simulator ended: $(cat "$simulator_log")"
	api_url=$(sed -n 's/^CORTECS_API_BASE_URL=//p' "$simulator_log")
	[[ -n $api_url ]]
}

# The other functions query the simulator at $api_address.

# control PATH [JSON] gets from the simulator, or posts to it. It uses only bash, since an HTTP
# client may be missing.
control() {
	local method=GET body=${2:-} answer connection
	[[ $# -eq 1 ]] || method=POST
	exec {connection}<>"/dev/tcp/${api_address%:*}/${api_address##*:}"
	printf '%s /_control/%s HTTP/1.0\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
		"$method" "$1" "$api_address" "${#body}" "$body" >&"$connection"
	answer=$(cat <&"$connection")
	exec {connection}>&-
	[[ $answer == HTTP/1.?' 200 '* ]] || fail "$method /_control/$1: ${answer%%$'\r'*}"
	printf '%s\n' "${answer#*$'\r\n\r\n'}"
}

# values FIELD prints the values of a field in the JSON of the standard input.
values() { grep -oE "\"$1\":(\"[^\"]*\"|[0-9]+)" | sed -E "s/^\"$1\":\"?([^\"]*)\"?$/\1/"; }

# calls ENDPOINT prints the number of calls of that endpoint.
calls() {
	local count
	count=$(control counts | values "$1" || true)
	printf '%s' "${count:-0}"
}
