# shellcheck shell=bash
# Renderings, and the life of a release. Sourced by check.

# The API server accepts each rendering as a whole, and both Helms render the same.
test_renderings() {
	start_plane
	"$kubectl" apply --server-side -f crds/ >/dev/null
	until_true "the schemas" schemas_have cortecs.ai/v1alpha1 "$monitoring"
	rm -rf "$dir/schemas"
	local values helm
	for values in /dev/null "$chart"/ci/*-values.yaml; do
		for helm in "$helm3" "$helm4"; do
			"$helm" template "$release" "$chart" --namespace "$namespace" --values "$values" \
				--api-versions "$monitoring/ServiceMonitor,$monitoring/PodMonitor,$monitoring/PrometheusRule" \
				>"$dir/rendered.$(basename "$helm")"
		done
		diff <(grep -v '^ *$' "$dir/rendered.helm3") <(grep -v '^ *$' "$dir/rendered.helm4") >&2 || fail "Helm 3 and Helm 4 differ: $values"
		"$kubectl" apply --server-side --dry-run=server --validate=strict -f "$dir/rendered.helm4" >/dev/null ||
			fail "the API server refuses $values"
		conforms "$dir/rendered.helm4" >&2 || fail "kubeconform refuses $values"
	done
	# Names that YAML would not read as strings.
	make_namespace 123
	"$helm4" template true "$chart" --namespace 123 --values "$chart/ci/single-namespace-values.yaml" --set-string nameOverride=1e3 >"$dir/rendered.helm4"
	"$kubectl" apply --server-side --dry-run=server --validate=strict -f "$dir/rendered.helm4" >/dev/null || fail "the API server refuses names that look like numbers"
	# The schema of the values has the same fields as the definition.
	local field
	for field in $("$kubectl" get crd cortecsaccounts.cortecs.ai --output \
		'go-template={{range $name, $_ := (index .spec.versions 0).schema.openAPIV3Schema.properties.spec.properties}}{{$name}} {{end}}'); do
		[[ $field == credentialsSecretRef ]] ||
			sed -n '/"accountSpec": {/,/"account": {/p' "$chart/values.schema.json" | grep -q "\"$field\": {" ||
			fail "values.schema.json does not know the field $field of accounts"
	done
	# The examples that Artifact Hub shows.
	{
		printf 'apiVersion: v1\nkind: List\nitems:\n'
		awk '/crdsExamples: \|/ { on = 1; next } on && /^  artifacthub/ { exit } on' "$chart/Chart.yaml" | sed 's/^    //'
	} >"$dir/examples.yaml"
	expect "the examples" "$("$kubectl" apply --server-side --dry-run=server --validate=strict -f "$dir/examples.yaml" | wc -l)" 2
	conforms "$dir/examples.yaml" >&2 || fail "see above"
	"$kubectl" apply --server-side --dry-run=server --validate=strict -f deploy/install.yaml >/dev/null ||
		fail "the API server refuses deploy/install.yaml"
	conforms deploy/install.yaml deploy/rbac.yaml deploy/samples >&2 || fail "see above"
	sed 's/^  replicas: 1$/  replicas: one/' deploy/install.yaml >"$dir/wrong.yaml"
	refused 'want integer|got string' conforms "$dir/wrong.yaml"
	sed 's/^  replicas: 1$/  replicaCount: 1/' deploy/install.yaml >"$dir/wrong.yaml"
	refused 'replicaCount' conforms "$dir/wrong.yaml"
	clean
}

# A pod object exists only if Pod Security admits the pod into a restricted namespace; no pod is started here.
has_pod() { [[ -n $("$kubectl" --namespace "$namespace" get pods --selector app.kubernetes.io/name=cortecs-operator --output name) ]]; }
pods_refused() { [[ $(field deployment "$release" '.status.conditions[?(@.type=="ReplicaFailure")].message') == *PodSecurity* ]]; }
shown_by() { [[ $("$kubectl" api-resources --api-group cortecs.ai --no-headers | awk '$NF == "CortecsInstance" { print $2 }') == "$1" ]]; }

# The life of a release, from a previous chart with other definitions.
life() {
	local helm=$1 uid said
	start_plane
	local with_account=(--namespace "$namespace" --set account.create=true --set account.existingSecret=first)
	cp -r "$chart" "$dir/before"
	sed -i 's/^version: .*/version: 0.0.1/' "$dir/before/Chart.yaml"
	sed -i 's/^    - cti$/    - before/' "$dir/before/files/crds/cortecsinstances.yaml"

	# No pods run, so Helm waits for none. On a slow machine the account's kind may not be served in time; then the command is
	# repeated, as the chart's README says.
	if ! said=$("$helm" install "$release" "$dir/before" "${with_account[@]}" 2>&1 >"$dir/notes"); then
		[[ $said == *'no matches for kind "CortecsAccount"'* ]] || fail "$said"
		"$helm" upgrade "$release" "$dir/before" "${with_account[@]}" >"$dir/notes"
	fi
	grep -q 'rollout status deployment/cortecs-operator' "$dir/notes" || fail "the notes are missing"
	uid=$(field cortecsaccount default .metadata.uid)
	until_true "a pod in a restricted namespace" has_pod
	until_true "the definition" shown_by before
	"$kubectl" --namespace team-a apply -f - >/dev/null <<<'{apiVersion: cortecs.ai/v1alpha1, kind: CortecsInstance, metadata: {name: i}, spec: {modelId: a/b}}'

	# The account becomes a part of the release, and the definitions are upgraded.
	"$helm" upgrade "$release" "$chart" "${with_account[@]}" >/dev/null
	expect "the account's Secret" "$(field cortecsaccount default .spec.credentialsSecretRef.name)" first
	until_true "the new definition" shown_by cti
	"$helm" upgrade "$release" "$chart" "${with_account[@]}" --set account.existingSecret=second >/dev/null
	expect "the account's Secret" "$(field cortecsaccount default .spec.credentialsSecretRef.name)" second

	"$helm" upgrade "$release" "$chart" "${with_account[@]}" --set account.existingSecret=second \
		--set securityContext.allowPrivilegeEscalation=true >/dev/null
	until_true "Pod Security to refuse what is not restricted" pods_refused

	"$helm" rollback "$release" 2 --namespace "$namespace" >/dev/null
	expect "the account's Secret after the rollback" "$(field cortecsaccount default .spec.credentialsSecretRef.name)" first
	expect "the security context after the rollback" \
		"$(field deployment "$release" '.spec.template.spec.containers[0].securityContext.allowPrivilegeEscalation')" false
	"$helm" rollback "$release" 1 --namespace "$namespace" >/dev/null
	until_true "the definition of before" shown_by before

	# An account that is removed from the values is kept: an instance may need it to be stopped.
	"$helm" upgrade "$release" "$chart" --namespace "$namespace" >/dev/null
	expect "the account" "$(field cortecsaccount default .metadata.uid)" "$uid"

	"$helm" uninstall "$release" --namespace "$namespace" >/dev/null
	expect "what is left of the operator" "$("$kubectl" --namespace "$namespace" get deployments,roles,rolebindings,services --output name)" ''
	expect "the roles left" "$("$kubectl" get clusterroles,clusterrolebindings --output name | grep cortecs || true)" ''
	expect "the account" "$(field cortecsaccount default '.metadata.uid}{.metadata.deletionTimestamp')" "$uid"
	expect "the instance" "$("$kubectl" --namespace team-a get cortecsinstance i --output 'jsonpath={.metadata.name}{.metadata.deletionTimestamp}')" i

	# The same installation takes over everything. The chart refuses a change that Helm 3 would not make.
	if [[ $helm == "$helm3" ]]; then
		refused 'exists already' "$helm" install "$release" "$dir/before" "${with_account[@]}"
		refused 'CortecsAccount default exists already' "$helm" install "$release" "$chart" "${with_account[@]}" --set account.existingSecret=third
		"$helm" install "$release" "$chart" "${with_account[@]}" >/dev/null
		"$helm" upgrade "$release" "$chart" "${with_account[@]}" --set account.existingSecret=third >/dev/null
	else
		"$helm" install "$release" "$chart" "${with_account[@]}" --set account.existingSecret=third >/dev/null
	fi
	expect "the account" "$(field cortecsaccount default .metadata.uid)" "$uid"
	expect "the account's Secret" "$(field cortecsaccount default .spec.credentialsSecretRef.name)" third
	until_true "the new definition" shown_by cti

	# Another release cannot take over this release's objects, nor its Lease.
	refused 'ownership metadata|invalid ownership' "$helm" install other "$chart" --namespace team-b
	refused 'the Deployment cortecs-operator in namespace cortecs-system is another operator, .* into another namespace' \
		"$helm" install other "$chart" --namespace "$namespace" --set crds.enabled=false --set 'watchNamespaces={team-b}'
	"$helm" install other "$chart" --namespace team-b --set crds.enabled=false --set singleNamespace=true >/dev/null
	"$helm" upgrade other "$chart" --namespace team-b --set crds.enabled=false --set singleNamespace=true --set updateStrategy.type=Recreate >/dev/null
	expect "the strategy" "$("$kubectl" --namespace team-b get deployment other-cortecs-operator --output 'jsonpath={.spec.strategy}')" '{"type":"Recreate"}'
	"$helm" uninstall other --namespace team-b >/dev/null
	"$helm" uninstall "$release" --namespace "$namespace" >/dev/null
	rm -rf "$dir/before"
	clean
}
test_helm3() { life "$helm3"; }
test_helm4() { life "$helm4"; }
