# shellcheck shell=bash
# Upgrade, uninstallation and reinstallation. Sourced by check.

# An upgrade to another image replaces the two pods while the answer to a start is under way.
test_upgraded() {
	begin_start upgraded
	upgrade --set replicaCount=2 --set image.tag=next
	until_true "two pods and no other" pods_are 2
	expect "images" "$(operator_pods --output 'jsonpath={.items[*].spec.containers[*].image}')" \
		"localhost/cortecs-operator:next localhost/cortecs-operator:next"
	ready upgraded
	looked_at_again upgraded
	expect_one_each 5
}

# Definitions, resources, the account and the instances stay, and the API gets no stop.
test_uninstalled() {
	local before
	before=$(state)
	"$helm" uninstall "$release" --namespace "$namespace" --wait --timeout 120s >/dev/null
	"$kubectl" --namespace "$namespace" wait --for=delete pod --selector app.kubernetes.io/name=cortecs-operator --timeout="${deadline}s" >/dev/null
	expect "what an uninstallation leaves" "$(state)" "$before"
	expect "resources being deleted" "$("$kubectl" get cortecsinstances,cortecsaccounts --all-namespaces \
		--output 'jsonpath={.items[*].metadata.deletionTimestamp}')" ''
	expect "what is left of the operator" "$("$kubectl" --namespace "$namespace" get deployments,pods,roles,services,networkpolicies --output name)" ''
}

# state prints the resources, the instances, and the numbers of calls that change something.
state() {
	"$kubectl" get crd --output name
	"$kubectl" get cortecsinstances,cortecsaccounts --all-namespaces --output json |
		jq --raw-output '.items[] | "\(.kind) \(.metadata.uid) \(.status.instanceId)"'
	held
	control counts | jq --compact-output 'with_entries(select(.key | IN("start", "restart", "stop", "stop_all", "delete", "delete_all")))'
}

test_reinstalled() {
	local before
	before=$(state)
	install_operator
	looked_at_again reinstalled
	expect "what a reinstallation finds" "$(state)" "$before"
	expect_one_each 5
}
