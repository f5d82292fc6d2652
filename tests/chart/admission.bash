# shellcheck shell=bash
# The admission policies. Sourced by check.

# instance NAME SPEC [ARG...] applies an instance in team-a.
instance() { printf '{apiVersion: cortecs.ai/v1alpha1, kind: CortecsInstance, metadata: {name: %s}, spec: {modelId: a/b%s}}' "$1" "$2" | "$kubectl" --namespace team-a apply "${@:3}" -f -; }
change() { "$kubectl" --namespace team-a patch cortecsinstance "$1" --type merge --patch "$2" "${@:3}"; }

test_admission() {
	start_plane
	local policy=$release-$namespace
	"$kubectl" apply --server-side -f crds/ >/dev/null
	"$kubectl" wait --for=condition=Established crd/cortecsinstances.cortecs.ai >/dev/null
	until_true "the kind to be served" instance before ', numWorkers: 5, deletionPolicy: Orphan' >/dev/null 2>&1
	"$helm4" install "$release" "$chart" --namespace "$namespace" --set crds.enabled=false --set admission.orphan.enabled=true \
		--set 'admission.orphan.groups={platform}' --set 'admission.orphan.users={o"brien}' \
		--set admission.maxWorkers.enabled=true >/dev/null
	type_checked() { [[ $("$kubectl" get validatingadmissionpolicy "$1" --output 'jsonpath={.status.observedGeneration}') == 1 ]]; }
	local name
	for name in orphan max-workers max-workers-scale; do
		until_true "the policy $name to be looked at" type_checked "$policy-$name"
		expect "the warnings of $name" "$("$kubectl" get validatingadmissionpolicy "$policy-$name" --output 'jsonpath={.status.typeChecking.expressionWarnings}')" ''
	done

	# Arguments for a user who may write instances, and no more.
	"$kubectl" --namespace team-a create role writer --verb get,create,patch,update,delete --resource cortecsinstances.cortecs.ai,cortecsinstances.cortecs.ai/scale >/dev/null
	"$kubectl" --namespace team-a create rolebinding writers --role writer --group writers >/dev/null
	local dev=(--as dev --as-group writers --as-group system:authenticated)
	can_write() { instance plain '' "${dev[@]}" >/dev/null 2>&1; }
	until_true "the role" can_write
	in_force() { ! instance o ', deletionPolicy: Orphan' "${dev[@]}" --dry-run=server >/dev/null 2>&1 && ! instance w ', numWorkers: 3' "${dev[@]}" --dry-run=server >/dev/null 2>&1; }
	until_true "the policies to be in force" in_force
	refused 'dev may not set it' instance o ', deletionPolicy: Orphan' "${dev[@]}"
	refused 'dev may not set it' change plain '{"spec":{"deletionPolicy":"Orphan"}}' "${dev[@]}"
	instance p ', deletionPolicy: Orphan' --as lead --as-group writers --as-group platform >/dev/null
	instance u ', deletionPolicy: Orphan' --as 'o"brien' --as-group writers >/dev/null
	"$kubectl" --namespace team-a create role orphaner --verb orphan --resource cortecsinstances.cortecs.ai >/dev/null
	"$kubectl" --namespace team-a create rolebinding orphaner --role orphaner --user dev >/dev/null
	may_orphan() { change plain '{"spec":{"deletionPolicy":"Orphan"}}' "${dev[@]}" >/dev/null 2>&1; }
	until_true "the verb orphan to count" may_orphan
	"$kubectl" --namespace team-a delete rolebinding orphaner >/dev/null
	lost_orphan() { ! instance o ', deletionPolicy: Orphan' "${dev[@]}" --dry-run=server >/dev/null 2>&1; }
	until_true "the verb orphan to be gone" lost_orphan

	# An instance from before the policies can be changed, lowered and deleted.
	change before '{"metadata":{"finalizers":["cortecs.ai/instance"]}}' "${dev[@]}" >/dev/null
	change before '{"spec":{"numWorkers":4}}' "${dev[@]}" >/dev/null
	change before '{"metadata":{"finalizers":null},"spec":{"suspend":true}}' "${dev[@]}" >/dev/null
	refused 'at most 2 workers are allowed' change before '{"spec":{"numWorkers":5}}' "${dev[@]}"

	instance two ', numWorkers: 2' "${dev[@]}" >/dev/null
	refused 'at most 2 workers are allowed' instance three ', numWorkers: 3' "${dev[@]}"
	refused 'at most 2 workers are allowed' "$kubectl" --namespace team-a scale cortecsinstance two --replicas 3 "${dev[@]}"
	"$kubectl" --namespace team-a scale cortecsinstance two --replicas 1 "${dev[@]}" >/dev/null
	"$kubectl" label namespace team-a cortecs.ai/max-workers=3 >/dev/null
	label_counts() { instance three ', numWorkers: 3' "${dev[@]}" >/dev/null 2>&1; }
	until_true "the namespace's label to count" label_counts
	"$kubectl" --namespace team-a scale cortecsinstance two --replicas 3 "${dev[@]}" >/dev/null
	refused 'at most 3 workers are allowed' instance four ', numWorkers: 4' "${dev[@]}"
	"$kubectl" label --overwrite namespace team-a cortecs.ai/max-workers=many >/dev/null
	label_is_wrong() { ! instance one '' "${dev[@]}" --dry-run=server >/dev/null 2>&1; }
	until_true "the wrong label to count" label_is_wrong
	refused 'must be a number, not many' instance one '' "${dev[@]}"
	"$kubectl" label namespace team-a cortecs.ai/max-workers- >/dev/null

	# A quota counts instances; a policy sees one at a time. Kubernetes looks for new kinds every half minute.
	kind_is_counted() {
		"$kubectl" --namespace team-b delete quota probe --ignore-not-found >/dev/null
		"$kubectl" --namespace team-b create quota probe --hard=count/cortecsinstances.cortecs.ai=9 >/dev/null
		"$kubectl" --namespace team-b wait quota probe --for='jsonpath={.status.used}' --timeout=2s >/dev/null 2>&1
	}
	until_true "Kubernetes to count the kind" kind_is_counted
	"$helm4" upgrade "$release" "$chart" --namespace "$namespace" --reuse-values --set admission.instanceQuotas.team-b=1 >/dev/null
	of_team_b() { "$kubectl" --namespace team-b apply -f - <<<"{apiVersion: cortecs.ai/v1alpha1, kind: CortecsInstance, metadata: {name: $1}, spec: {modelId: a/b}}"; }
	first_fits() { of_team_b first >/dev/null 2>&1; }
	until_true "the first instance to fit into the quota" first_fits
	refused 'exceeded quota' of_team_b second

	"$kubectl" --namespace team-b delete quota probe >/dev/null
	"$helm4" uninstall "$release" --namespace "$namespace" >/dev/null
	"$kubectl" --namespace team-a delete role writer orphaner >/dev/null
	"$kubectl" --namespace team-a delete rolebinding writers >/dev/null
	clean
}
