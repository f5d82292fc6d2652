# shellcheck shell=bash
# Installation and use. Sourced by check.

install_operator() {
	"$helm" install "$release" "$chart" --namespace "$namespace" --values "$here/values.yaml" --wait --timeout 120s "$@" >/dev/null
}

make_namespace() {
	[[ $1 == default ]] || "$kubectl" create namespace "$1" >/dev/null
	"$kubectl" label namespace "$1" pod-security.kubernetes.io/enforce=restricted >/dev/null
	"$kubectl" wait --namespace "$1" --for=create serviceaccount/default --timeout=60s >/dev/null
}

operator_pods() {
	"$kubectl" --namespace "$namespace" get pods --selector app.kubernetes.io/name=cortecs-operator "${@:---output=name}"
}

# field NAME PATH prints a field of a CortecsInstance.
field() { "$kubectl" --namespace default get cortecsinstance "$1" --output "jsonpath={$2}"; }
ready() { "$kubectl" --namespace default wait "cortecsinstance/$1" --for=condition=Ready --timeout="${deadline}s" >/dev/null; }

# make_instance NAME creates a resource like the sample.
make_instance() {
	sed "s/^  name: mistral$/  name: $1/" deploy/samples/instance.yaml | "$kubectl" apply -f - >/dev/null
}

starts_are() { [[ $(calls start) -eq $1 ]]; }

# expect_one_each NUMBER checks that the API got that many starts, has that many instances, and that each belongs to another
# resource.
expect_one_each() {
	expect "starts asked for" "$(calls start)" "$1"
	expect "restarts asked for" "$(calls restart)" 0
	expect "instances at the API" "$(held | wc -l)" "$1"
	expect "instances and who claims them" \
		"$("$kubectl" --namespace default get cortecsinstances --output json | jq --raw-output '.items[].status.instanceId' | sort)" \
		"$(held | cut -d ' ' -f 1)"
}

test_installed() {
	make_namespace simulator
	make_namespace default
	make_namespace "$namespace"
	refused 'violates PodSecurity "restricted' "$kubectl" --namespace "$namespace" run --image=localhost/kubectl:dev --privileged intruder
	"$kubectl" apply -f "$here/simulator.yaml" >/dev/null
	"$kubectl" --namespace simulator wait --for=condition=Ready pod/simulator --timeout="${deadline}s" >/dev/null
	# The node has a route to each pod.
	api_address=$("$kubectl" --namespace simulator get pod simulator --output 'jsonpath={.status.podIP}'):8088
	"$kubectl" --namespace "$namespace" create secret generic cortecs-credentials \
		--from-literal "CORTECS_CLIENT_ID=$client_id" --from-literal "CORTECS_CLIENT_SECRET=$client_secret" >/dev/null
	install_operator
	"$kubectl" --namespace "$namespace" wait cortecsaccount/default --for=condition=Ready --timeout="${deadline}s" >/dev/null
	expect "user and groups of the operator" \
		"$(awk '$1 == "Uid:" || $1 == "Gid:" { print $2 }' "/proc/$("$cluster" pid "$(container_of "$(operator_pods)")")/status" | paste -sd ' ')" "65532 65532"
	# The NetworkPolicy exists; the network of this node does not enforce it.
	expect "pods that the NetworkPolicy selects" "$("$kubectl" --namespace "$namespace" get pods --output name --selector \
		"$("$kubectl" --namespace "$namespace" get networkpolicy "$release" --output json |
			jq --raw-output '.spec.podSelector.matchLabels | to_entries | map("\(.key)=\(.value)") | join(",")')")" "$(operator_pods)"
	"$helm" test "$release" --namespace "$namespace" --timeout 60s >/dev/null
	expect "starts asked for by an installation and its test" "$(calls start)" 0
}

# Runs the commands of the docs that need a pod, unchanged: they find helm and kubectl by their names.
test_documented() {
	local document line mark command ran=0
	mkdir "$dir/bin"
	ln -s "$helm" "$dir/bin/helm"
	ln -s "$kubectl" "$dir/bin/kubectl"
	while read -r document <&3; do
		tests/docs/commands "$document" >"$dir/commands"
		while IFS=$'\t' read -r line mark _ command <&4; do
			[[ $mark == node ]] || continue
			ran=$((ran + 1))
			PATH=$dir/bin:$PATH timeout "$deadline" bash -euo pipefail -c "$command" </dev/null >"$dir/said" 2>&1 || {
				tail -n 20 "$dir/said" >&2
				fail "$document:$line: $command"
			}
			! grep -q '^No resources found' "$dir/said" || fail "$document:$line finds nothing: $command"
		done 4<"$dir/commands"
	done 3< <(tests/docs/commands)
	say "documented: $ran commands"
	expect_one_each 3
}

test_rented() {
	"$kubectl" --namespace default apply -f deploy/samples/instance.yaml -f "$here/client.yaml" >/dev/null
	"$kubectl" --namespace default wait --for=jsonpath='{.status.phase}'=Succeeded pod/client --timeout="${deadline}s" >/dev/null
	expect "the URL that the client read" "$("$kubectl" --namespace default logs client --container client)" "$(field mistral .status.baseUrl)"
	[[ $(field mistral .status.baseUrl) == https://* ]] || fail "it has no URL"
	expect_one_each 1
	"$kubectl" get --raw "/api/v1/namespaces/$namespace/services/$release:8080/proxy/metrics" >"$dir/metrics"
	grep -q '^cortecs_starts_total{.*outcome="accepted".*} 1$' "$dir/metrics" || fail "the metrics do not show the start"
	# The log must not contain the secret.
	! "$kubectl" --namespace "$namespace" logs "deployment/$release" | grep -F "$client_secret" || fail "the log has the secret"
}

test_deleted() {
	local number
	number=$(held | wc -l)
	"$kubectl" --namespace default delete cortecsinstances --all --timeout="${deadline}s" >/dev/null
	expect "instances at the API" "$(held)" ''
	expect "deletes asked for" "$(calls delete)" "$number"
	"$kubectl" --namespace "$namespace" delete cortecsaccount default --timeout="${deadline}s" >/dev/null
}
