# shellcheck shell=bash
# No operator runs any more, and a stop is overdue. Sourced by check.

is_stopped() { [[ $(field "$1" .status.phase) == Stopped ]]; }
reason_of() { field "$1" '.status.conditions[?(@.type=="Ready")].reason'; }

# The operator is killed and does not come back: the CronJob makes the overdue stop, once, and starts nothing.
test_reaped() {
	local starts stops started
	until_true "a leader among the pods" led
	starts=$(calls start)
	stops=$(calls stop)
	# The Lease is not released. The container that is started again does not get it before it is gone, too.
	kill_process "$(leader)"
	upgrade --set replicaCount=0,reaper.enabled=true,reaper.overdueSeconds=60 --set 'reaper.schedule=* * * * *'
	until_true "no pod of the operator" pods_are 0
	started=$(date --utc --date '1 hour ago' +%Y-%m-%dT%H:%M:%SZ)
	"$kubectl" --namespace default patch cortecsinstance mistral --type merge --patch '{"spec":{"maxRuntimeSeconds":60}}' >/dev/null
	"$kubectl" --namespace default patch cortecsinstance mistral --subresource status --type merge \
		--patch "{\"status\":{\"journal\":{\"slots\":{\"current\":{\"lastStartTime\":\"$started\"}}}}}" >/dev/null
	until_true "the overdue stop" is_stopped mistral
	expect "why it is stopped" "$(reason_of mistral)" MaxRuntimeReached
	expect "stops asked for" "$(calls stop)" $((stops + 1))
	expect "starts asked for" "$(calls start)" "$starts"
	# The operator comes back, and finds nothing to do.
	upgrade
	until_true "a leader among the pods" led
	looked_at_again reaped
	expect "why it is still stopped" "$(reason_of mistral)" MaxRuntimeReached
	expect "stops and starts asked for" "$(calls stop) $(calls start)" "$((stops + 1)) $starts"
}
