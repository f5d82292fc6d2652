# shellcheck shell=bash
# Asks a running simulator, at $api_address. Read by scripts that have fail.

# control PATH [JSON] asks the simulator, or posts to it. Through bash itself: no HTTP
# client is sure to be here.
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

# calls ENDPOINT prints how often the API was called.
calls() {
	local count
	count=$(control counts | values "$1" || true)
	printf '%s' "${count:-0}"
}
