# shellcheck shell=bash
# Tests of deploy/kustomize and deploy/gitops. Sourced by check.

argo_definitions() {
	local definitions
	definitions=$(tests/tools/tools argo-cd)/manifests/crds
	"$kubectl" apply --server-side -f "$definitions/application-crd.yaml" -f "$definitions/appproject-crd.yaml" >/dev/null
	"$kubectl" create namespace argocd >/dev/null
}

# nothing_to_ignore VALUES checks that the operator writes none of the applied fields, so Argo CD has no difference to ignore.
nothing_to_ignore() {
	local binary api_url api_address
	simulate
	"$helm4" template "$release" "$chart" --namespace "$namespace" --skip-tests --values "$1" --set "config.allowedApiHosts={http://$api_address}" >"$dir/rendered.yaml"
	{
		"$kubectl" patch --local --filename deploy/gitops/instances/account.yaml --type merge --output yaml \
			--patch "{\"spec\":{\"apiUrl\":\"$api_url\",\"poll\":{\"activeSeconds\":1}}}"
		echo ---
		cat deploy/gitops/instances/mistral.yaml
	} >"$dir/instances.yaml"
	"$kubectl" --namespace "$namespace" create secret generic cortecs-credentials --from-literal=CORTECS_CLIENT_ID=some-id --from-literal=CORTECS_CLIENT_SECRET=some-secret >/dev/null
	local as_argo=(--server-side --force-conflicts --field-manager argocd-controller)
	"$kubectl" apply "${as_argo[@]}" --filename "$dir/rendered.yaml" --filename "$dir/instances.yaml" >/dev/null
	start_operator
	local operator=$!
	"$kubectl" wait --for=condition=Ready --namespace default cortecsinstance/mistral --timeout=60s >/dev/null || fail "the instance is not ready: $(tail -n 3 "$dir/operator.log")"
	"$kubectl" wait --for=condition=Ready --namespace "$namespace" cortecsaccount/default --timeout=60s >/dev/null
	"$kubectl" diff "${as_argo[@]}" --filename "$dir/rendered.yaml" --filename "$dir/instances.yaml" >&2 || fail "there is a difference to what was applied"
	# A real difference is seen.
	sed 's/^  modelId: .*/  modelId: another/' "$dir/instances.yaml" >"$dir/changed.yaml"
	refused 'modelId: another' "$kubectl" diff "${as_argo[@]}" --filename "$dir/changed.yaml"
	"$kubectl" delete --filename "$dir/instances.yaml" --timeout=60s >/dev/null
	kill "$operator"
	wait "$operator" || true
	"$kubectl" delete --filename "$dir/rendered.yaml" --timeout=60s >/dev/null
}

# The real definitions accept deploy/kustomize and deploy/gitops, and the health script for Argo CD is correct.
test_gitops() {
	start_plane
	local controller built
	"$kubectl" apply --server-side -f crds/ >/dev/null
	for controller in helm-controller kustomize-controller source-controller; do
		"$kubectl" apply --server-side -f "$(tests/tools/tools "$controller")/config/crd/bases" >/dev/null
	done
	argo_definitions
	"$kubectl" create namespace flux-system >/dev/null
	until_true "the definitions to be served" all_established
	until_true "the schemas" schemas_have cortecs.ai/v1alpha1 "$monitoring" argoproj.io/v1alpha1 helm.toolkit.fluxcd.io/v2 \
		kustomize.toolkit.fluxcd.io/v1 source.toolkit.fluxcd.io/v1
	rm -rf "$dir/schemas"
	# The components also work together.
	cp -r deploy/kustomize "$dir/kustomize"
	mkdir "$dir/kustomize/both"
	cat >"$dir/kustomize/both/kustomization.yaml" <<'END'
resources: [../base]
components: [../components/high-availability, ../components/monitoring]
END
	for built in deploy/kustomize/base deploy/kustomize/overlays/* "$dir/kustomize/both" deploy/gitops/flux/operator deploy/gitops/instances; do
		"$kubectl" kustomize "$built" >"$dir/built.yaml"
		"$kubectl" apply --server-side --dry-run=server --validate=strict -f "$dir/built.yaml" >/dev/null || fail "the API server refuses $built"
		conforms "$dir/built.yaml" >&2 || fail "kubeconform refuses $built"
	done
	"$kubectl" kustomize "$dir/kustomize/both" >"$dir/built.yaml"
	expect "what both components add" "$(grep -cE '^(kind: (PodMonitor|PrometheusRule|PodDisruptionBudget)|  replicas: 2)$' "$dir/built.yaml")" 4
	while read -r built; do
		[[ -f deploy/gitops/$built/kustomization.yaml ]] || fail "deploy/gitops has no folder $built"
	done < <(sed -nE 's/^ *path: (\.\/)?//p' deploy/gitops/flux/cluster.yaml deploy/gitops/argocd/instances.yaml)
	set -- deploy/gitops/flux/cluster.yaml deploy/gitops/argocd/operator.yaml deploy/gitops/argocd/instances.yaml
	for built in "$@"; do
		"$kubectl" apply --server-side --dry-run=server --validate=strict -f "$built" >/dev/null || fail "the API server refuses $built"
	done
	conforms "$@" >&2 || fail "see above"
	for built in flux/operator/release.yaml argocd/operator.yaml; do
		# Only the values, by the path of each file.
		sed -nE '/^ *(values|valuesObject):$/,/^  [a-z]/p' "deploy/gitops/$built" | sed -E '1d; /^  [a-z]/d' >"$dir/values.yaml"
		grep -q defaultAccount "$dir/values.yaml" || fail "found no values in $built"
		"$helm4" template "$release" "$chart" --namespace "$namespace" --values "$dir/values.yaml" >/dev/null ||
			fail "the chart refuses the values of $built"
	done
	# The values of Argo CD, the last file.
	nothing_to_ignore "$dir/values.yaml"

	local lua
	lua=$(tests/tools/tools glua)
	{
		echo 'function health(obj)'
		sed -n '/CortecsInstance: /,/CortecsAccount: /{/resource.customizations/d; p}' deploy/gitops/argocd/health.yaml
		echo 'end'
		cat tests/chart/health.lua
	} >"$dir/health.lua"
	"$lua" "$dir/health.lua" >&2 || fail "the health script is wrong"
	clean
}
