# shellcheck shell=bash
# The rights of the operator and of people. Sourced by check.

account_of() { printf 'system:serviceaccount:%s:cortecs-operator' "$namespace"; }
# may VERB RESOURCE ARG... prints yes or no for the operator's account.
may() { "$kubectl" auth can-i "$@" --as "$(account_of)" 2>/dev/null || true; }
rights() { "$kubectl" auth can-i --list --as "$(account_of)" --namespace "$1" | sed 's/ *$//' | sort; }

# By default the rights are those of deploy/rbac.yaml; with namespaces there are none outside of them.
test_rights() {
	start_plane
	local verb
	"$kubectl" apply -f deploy/rbac.yaml >/dev/null
	rights "$namespace" >"$dir/plain"
	rights team-a >"$dir/plain-elsewhere"
	"$kubectl" delete --wait=false clusterrole,clusterrolebinding --selector app.kubernetes.io/name=cortecs-operator >/dev/null
	"$kubectl" delete --namespace "$namespace" serviceaccount,role,rolebinding cortecs-operator >/dev/null
	"$helm4" install "$release" "$chart" --namespace "$namespace" >/dev/null
	rights_are_plain() { diff "$dir/plain" <(rights "$namespace") >/dev/null && diff "$dir/plain-elsewhere" <(rights team-a) >/dev/null; }
	until_true "the chart's rights to be those of deploy/rbac.yaml" rights_are_plain
	# The reaper's are those of deploy/rbac-reaper.yaml.
	reaper_rights() { "$kubectl" auth can-i --list --as "system:serviceaccount:$namespace:cortecs-operator-reaper" --namespace "$1" | sed 's/ *$//' | sort; }
	"$kubectl" apply -f deploy/rbac-reaper.yaml >/dev/null
	reaper_has_rights() { reaper_rights "$namespace" | grep -q cortecsinstances.cortecs.ai/status; }
	until_true "the reaper's rights" reaper_has_rights
	reaper_rights "$namespace" >"$dir/reaper"
	reaper_rights team-a >"$dir/reaper-elsewhere"
	"$kubectl" delete --wait=false clusterrole,clusterrolebinding cortecs-operator-reaper >/dev/null
	"$kubectl" delete --namespace "$namespace" serviceaccount,role,rolebinding cortecs-operator-reaper >/dev/null
	"$helm4" upgrade "$release" "$chart" --namespace "$namespace" --set reaper.enabled=true >/dev/null
	reapers_are_plain() { diff "$dir/reaper" <(reaper_rights "$namespace") >/dev/null && diff "$dir/reaper-elsewhere" <(reaper_rights team-a) >/dev/null; }
	until_true "the chart's rights of the reaper to be those of deploy/rbac-reaper.yaml" reapers_are_plain
	# The docs quote and justify the rights.
	awk '/^\$ kubectl auth can-i --list/ { on = 1; next } on && /^```/ { exit } on' docs/security.md | sed 's/ *$//' | sort >"$dir/pasted"
	diff "$dir/pasted" <(rights "$namespace") >&2 || fail "docs/security.md has other rights than the API server knows"
	for verb in list watch create update patch delete; do
		expect "may $verb Secrets" "$(may "$verb" secrets --all-namespaces)" no
	done
	expect "may get the Lease in its namespace" "$(may get leases/cortecs-operator --namespace "$namespace")" yes
	expect "may get the Lease of another operator" "$(may get leases/cortecs-operator --namespace team-a)" no

	expect "may delete expired instances" "$(may delete cortecsinstances.cortecs.ai --all-namespaces)" yes
	expect "may write the catalog" "$(may create cortecsmodels.cortecs.ai)" yes
	"$helm4" upgrade "$release" "$chart" --namespace "$namespace" --set rbac.deleteExpired=false,catalog.enabled=false >/dev/null
	deletes_are_gone() { [[ $(may delete cortecsinstances.cortecs.ai --all-namespaces) == no ]]; }
	until_true "the right to delete to go" deletes_are_gone
	expect "may patch instances" "$(may patch cortecsinstances.cortecs.ai --all-namespaces)" yes
	expect "may write the catalog" "$(may create cortecsmodels.cortecs.ai)" no

	"$helm4" upgrade "$release" "$chart" --namespace "$namespace" --set "watchNamespaces={$namespace,team-a}" >/dev/null
	cluster_wide_is_gone() { [[ $(may list cortecsinstances.cortecs.ai --all-namespaces) == no ]]; }
	until_true "the ClusterRole to go" cluster_wide_is_gone
	expect "may get Secrets in team-a" "$(may get secrets --namespace team-a)" yes
	expect "may list Secrets in team-a" "$(may list secrets --namespace team-a)" no
	expect "may watch instances in team-a" "$(may watch cortecsinstances.cortecs.ai --namespace team-a)" yes
	expect "may get the namespace team-a" "$(may get namespace/team-a --namespace team-a)" yes
	expect "may get Secrets in team-b" "$(may get secrets --namespace team-b)" no
	expect "may watch instances in team-b" "$(may watch cortecsinstances.cortecs.ai --namespace team-b)" no
	expect "may get the namespace team-b" "$(may get namespace/team-b --namespace team-b)" no
	expect "may list namespaces" "$(may list namespaces)" no

	"$helm4" upgrade "$release" "$chart" --namespace "$namespace" \
		--set-json "rbac.secrets=[{\"namespace\":\"$namespace\",\"names\":[\"one\"]}]" >/dev/null
	secrets_are_narrow() { [[ $(may get secrets/one --namespace "$namespace") == yes && $(may get secrets/one --namespace team-a) == no ]]; }
	until_true "the rights on Secrets to be narrowed" secrets_are_narrow
	expect "may get another Secret" "$(may get secrets/two --namespace "$namespace")" no

	# The rights of people by the cluster's own roles.
	"$kubectl" --namespace team-a create rolebinding viewer --clusterrole view --user viewer >/dev/null
	"$kubectl" --namespace team-a create rolebinding editor --clusterrole edit --user editor >/dev/null
	"$kubectl" --namespace team-a create rolebinding manager --clusterrole admin --user manager >/dev/null
	person() { "$kubectl" --namespace team-a auth can-i "$2" "$3.cortecs.ai" ${4:+--subresource "$4"} --as "$1" 2>/dev/null || true; }
	roles_are_aggregated() { [[ $(person manager create cortecsaccounts) == yes && $(person editor create cortecsinstances) == yes && $(person viewer get cortecsinstances) == yes ]]; }
	until_true "the roles to be aggregated" roles_are_aggregated
	expect "view creates instances" "$(person viewer create cortecsinstances)" no
	expect "edit scales instances" "$(person editor patch cortecsinstances scale)" yes
	expect "edit writes accounts" "$(person editor patch cortecsaccounts)" no
	expect "edit writes the status" "$(person editor patch cortecsinstances status)" no
	expect "edit orphans" "$(person editor orphan cortecsinstances)" no
	"$kubectl" --namespace team-a delete rolebinding viewer editor manager >/dev/null
	"$helm4" uninstall "$release" --namespace "$namespace" >/dev/null
	clean
}

# ask ADDRESS PATH prints the answer with its headers. It uses only bash, since an HTTP client may be missing.
ask() {
	local connection
	exec {connection}<>"/dev/tcp/${1%:*}/${1##*:}"
	printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&"$connection"
	cat <&"$connection"
	exec {connection}>&-
}
metrics_asked_for() { grep -ohE '(cortecs|controller_runtime|leader_election)_[a-z_]+' "$chart/files/alerts.yaml" "$chart/files/dashboard.json" | sort -u; }

# Sets binary, api_url and api_address.
simulate() {
	need_binaries
	CORTECS_CLIENT_ID=some-id CORTECS_CLIENT_SECRET=some-secret start_simulator "$dir/simulator.log" --step-milliseconds 10
	processes+=("$simulator")
	await_simulator
}

# The real operator, with the rights and the environment of the release.
start_operator() {
	local environment=() name value
	while IFS='=' read -r name value; do
		environment+=("$name=$value")
	done < <("$kubectl" --namespace "$namespace" get deployment "$release" --output \
		'go-template={{range (index .spec.template.spec.containers 0).env}}{{if .value}}{{.name}}={{.value}}{{"\n"}}{{end}}{{end}}')
	"$plane" operator-kubeconfig "$dir/plane" "$namespace" cortecs-operator "$dir/operator"
	env KUBECONFIG="$dir/operator" POD_NAMESPACE="$namespace" "${environment[@]}" "$binary" run --listen 127.0.0.1:0 >"$dir/operator.log" 2>&1 &
	processes+=($!)
}

# The real operator, with the rights and the environment of the mode for one namespace alone.
test_one-namespace() {
	start_plane
	local binary api_url api_address
	simulate
	"$kubectl" apply --server-side -f crds/ >/dev/null
	"$kubectl" wait --for=condition=Established crd/cortecsinstances.cortecs.ai crd/cortecsaccounts.cortecs.ai >/dev/null
	# The operator reads labels of namespaces, though namespaces are cluster-scoped.
	"$kubectl" label namespace "$namespace" rents=yes >/dev/null
	local values=(--namespace "$namespace" --values "$chart/ci/single-namespace-values.yaml"
		--set config.logLevel=debug --set "config.allowedApiHosts={http://$api_address}" --set account.spec.apiUrl="$api_url"
		--set account.spec.allowedNamespaces.from=Selector --set account.spec.allowedNamespaces.selector.matchLabels.rents=yes)
	"$helm3" install "$release" "$chart" "${values[@]}" >/dev/null
	expect "the cluster-scoped objects" "$("$kubectl" get clusterroles,clusterrolebindings,validatingadmissionpolicies --output name | grep cortecs || true)" ''
	start_operator
	"$kubectl" --namespace "$namespace" apply -f - >/dev/null <<<'{apiVersion: cortecs.ai/v1alpha1, kind: CortecsInstance, metadata: {name: i}, spec: {modelId: mistralai/Mistral-7B-Instruct-v0.3}}'
	"$kubectl" --namespace "$namespace" wait --for=condition=Ready cortecsinstance/i --timeout=60s >/dev/null || {
		cat "$dir/operator.log" >&2
		"$kubectl" --namespace "$namespace" get cortecsinstances,cortecsaccounts --output yaml >&2
		fail "the instance does not become ready"
	}
	"$kubectl" --namespace "$namespace" wait --for=condition=Ready cortecsaccount/default --timeout=60s >/dev/null
	# Helm 4 waits for accounts by their conditions: until a good one is ready; with wrong credentials it fails. Here the
	# Deployment would never be ready.
	"$helm4" upgrade "$release" "$chart" "${values[@]}" --set replicaCount=0 --wait --timeout 60s >/dev/null
	refused 'status: Failed, message: the API refuses the credentials' "$helm4" upgrade "$release" "$chart" "${values[@]}" --set replicaCount=0 --wait --timeout 20s \
		--set-json "accounts=[{\"name\":\"wrong\",\"credentials\":{\"clientId\":\"a\",\"clientSecret\":\"b\"},\"spec\":{\"apiUrl\":\"$api_url\"}}]"
	expect "what keeps Helm waiting" "$(field cortecsaccount wrong '.status.conditions[?(@.type=="Stalled")].reason')" CredentialsInvalid
	"$kubectl" --namespace "$namespace" delete cortecsaccount wrong --timeout=60s >/dev/null
	has_told() { [[ -n $("$kubectl" --namespace "$namespace" get events --field-selector involvedObject.kind=CortecsInstance --output name) ]]; }
	until_true "an event" has_told
	local address_of_operator
	address_of_operator=$(sed -n 's/.*"address":"\([0-9.:]*\)".*/\1/p' "$dir/operator.log" | head -n 1)
	ask "$address_of_operator" /metrics >"$dir/metrics"
	local metric
	while read -r metric; do
		grep -Eq "^$metric(\{| )" "$dir/metrics" || fail "alerts or dashboard ask for $metric, which the operator does not show"
	done < <(metrics_asked_for)
	"$kubectl" --namespace "$namespace" delete cortecsinstance i --timeout=60s >/dev/null
	! grep -i forbidden "$dir/operator.log" || fail "the operator lacks a right"
	"$kubectl" --namespace "$namespace" delete cortecsaccount default --timeout=60s >/dev/null
	"$helm3" uninstall "$release" --namespace "$namespace" >/dev/null
	clean
}
