# shellcheck shell=bash
# The operator is killed during a start. Sourced by check.

# container_of POD prints the id of the pod's first container.
container_of() { "$kubectl" --namespace "$namespace" get "$1" --output 'jsonpath={.status.containerStatuses[0].containerID}'; }
restarts_of() { "$kubectl" --namespace "$namespace" get "$1" --output 'jsonpath={.status.containerStatuses[0].restartCount}'; }
restarted() { [[ $(restarts_of "$1") -gt $2 ]]; }
kill_process() { kill -KILL "$("$cluster" pid "$(container_of "$1")")"; }

# begin_start NAME returns once the API got the request of a start; the API answers it late.
begin_start() {
	local before
	before=$(calls start)
	control step-duration '{"milliseconds":1000}' >/dev/null
	control faults '{"endpoint":"start","effect":{"kind":"delay","when":"after","milliseconds":10000},"times":1}' >/dev/null
	make_instance "$1"
	until_true "a start" starts_are $((before + 1))
}

# The process is killed while it waits for the answer to a start, so the answer is lost.
test_killed_while_asking() {
	local pod restarts
	pod=$(operator_pods)
	restarts=$(restarts_of "$pod")
	begin_start asked
	kill_process "$pod"
	until_true "the container to be restarted" restarted "$pod" "$restarts"
	expect "the instance that was started" "$(field asked .status.instanceId)" ''
	ready asked
	expect_one_each 2
}

# The pod is deleted without notice while the workers come up.
test_killed_while_starting() {
	local pod
	pod=$(operator_pods)
	control step-duration '{"milliseconds":4000}' >/dev/null
	make_instance starting
	"$kubectl" --namespace default wait cortecsinstance/starting --for=jsonpath='{.status.phase}'=Starting --timeout="${deadline}s" >/dev/null
	"$kubectl" --namespace "$namespace" delete "$pod" --grace-period=0 --force >/dev/null 2>&1
	ready starting
	[[ $(operator_pods) != "$pod" ]] || fail "the pod is the old one"
	expect_one_each 3
}

# The process of an idle operator is killed: the kubelet restarts it in the same pod.
test_node_kill() {
	local pod restarts ids
	pod=$(operator_pods)
	ids=$(held)
	restarts=$(restarts_of "$pod")
	kill_process "$pod"
	until_true "the container to be restarted" restarted "$pod" "$restarts"
	"$kubectl" --namespace "$namespace" wait "$pod" --for=condition=Ready --timeout="${deadline}s" >/dev/null
	looked_at_again node-kill
	expect "instances at the API" "$(held)" "$ids"
	expect_one_each 3
}

# looked_at_again WORD waits until the operator has reconciled every resource once more.
looked_at_again() {
	local name
	"$kubectl" --namespace default annotate --overwrite cortecsinstances --all "cortecs.ai/requestedAt=$1" >/dev/null
	for name in $("$kubectl" --namespace default get cortecsinstances --output 'jsonpath={.items[*].metadata.name}'); do
		"$kubectl" --namespace default wait "cortecsinstance/$name" --for=jsonpath='{.status.lastHandledRequestAt}'="$1" --timeout="${deadline}s" >/dev/null
		ready "$name"
	done
}
