# shellcheck shell=bash
# Two replicas. The durations are printed, not tested, since the machine may be busy. Sourced by check.

holder() { "$kubectl" --namespace "$namespace" get lease cortecs-operator --output 'jsonpath={.spec.holderIdentity}'; }
other_holder() { [[ -n $(holder) && $(holder) != "$1" ]]; }
# An identity is the pod's name and a random suffix.
leader() { printf 'pod/%s' "$(holder | sed 's/_.*//')"; }
# Nobody holds the Lease for a moment after a leader released it.
led() { [[ -n $(holder) ]] && operator_pods | grep -xF "$(leader)" >/dev/null; }

upgrade() {
	"$helm" upgrade "$release" "$chart" --namespace "$namespace" --values "$here/values.yaml" --wait --timeout 120s "$@" >/dev/null
}

pods_are() { [[ $(operator_pods | wc -l) -eq $1 ]]; }

# The leader's process is killed: the standby must wait until the Lease has expired.
test_failover() {
	local before since leader
	upgrade --set replicaCount=2
	until_true "two pods and no other" pods_are 2
	until_true "a leader among the pods" led
	expect_one_each 3
	before=$(holder)
	leader=$(leader)
	since=$(milliseconds)
	kill_process "$leader"
	make_instance failover
	until_true "another leader" other_holder "$before"
	say "failover, killed: another holds the Lease after $(($(milliseconds) - since)) ms"
	until_true "a start by the other leader" starts_are 4
	say "failover, killed: it has started something after $(($(milliseconds) - since)) ms"
	ready failover
	expect_one_each 4
}

# The leader is asked to end: it releases the Lease.
test_handover() {
	local before since
	until_true "a leader among the pods" led
	before=$(holder)
	since=$(milliseconds)
	"$kubectl" --namespace "$namespace" delete "$(leader)" --wait=false >/dev/null
	until_true "another leader" other_holder "$before"
	say "handover, told to end: another holds the Lease after $(($(milliseconds) - since)) ms"
	until_true "two pods and no other" pods_are 2
	"$kubectl" --namespace "$namespace" rollout status "deployment/$release" --timeout="${deadline}s" >/dev/null
	looked_at_again handover
	expect_one_each 4
}
