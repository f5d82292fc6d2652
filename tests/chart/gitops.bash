# shellcheck shell=bash
# What is in deploy/kustomize and deploy/gitops. Read by check.

argo_definitions() {
	local definitions
	definitions=$(tests/tools/tools argo-cd)/manifests/crds
	"$kubectl" apply --server-side -f "$definitions/application-crd.yaml" -f "$definitions/appproject-crd.yaml" >/dev/null
	"$kubectl" create namespace argocd >/dev/null
}

# What is in deploy/kustomize and deploy/gitops is accepted by the real definitions, and what Argo CD is told is true.
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
	for built in deploy/kustomize/base deploy/kustomize/overlays/* deploy/gitops/flux/operator deploy/gitops/flux/instances; do
		"$kubectl" kustomize "$built" >"$dir/built.yaml"
		"$kubectl" apply --server-side --dry-run=server --validate=strict -f "$dir/built.yaml" >/dev/null || fail "the API server refuses $built"
		conforms "$dir/built.yaml" >&2 || fail "kubeconform refuses $built"
	done
	set -- deploy/gitops/flux/cluster.yaml deploy/gitops/argocd/operator.yaml deploy/gitops/argocd/instances.yaml
	for built in "$@"; do
		"$kubectl" apply --server-side --dry-run=server --validate=strict -f "$built" >/dev/null || fail "the API server refuses $built"
	done
	conforms "$@" >&2 || fail "see above"
	for built in flux/operator/release.yaml argocd/operator.yaml; do
		# The values alone, by the path of each file.
		sed -nE '/^ *(values|valuesObject):$/,/^  [a-z]/p' "deploy/gitops/$built" | sed -E '1d; /^  [a-z]/d' >"$dir/values.yaml"
		grep -q defaultAccount "$dir/values.yaml" || fail "found no values in $built"
		"$helm4" template "$release" "$chart" --namespace "$namespace" --values "$dir/values.yaml" >/dev/null ||
			fail "the chart refuses the values of $built"
	done

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
