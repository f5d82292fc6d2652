# shellcheck shell=bash
# Runs the commands of the docs in their order. Sourced by check.
#
# Substitutes:
#   pods               no node runs. A process with the environment and the service account of each operator Deployment runs
#                      instead of its pods; Helm gets replicaCount=0, so that --wait does not wait for pods
#   the Cortecs API    the simulator: a command that makes an account gets its URL, and the process may send requests to it
#   the checkout       a copy of the folders that the commands name, so that no command writes into the real one; the binary
#                      is where make build puts it
#   port 8080          any port, for an operator that a command runs in the foreground
# Commands that are marked "node" or "never" are only counted here; tests/in-cluster runs those marked "node".

# Runs as long as check. Starts an operator for each Deployment, restarts it when the Deployment changes, and ends it when the
# Deployment is gone.
play_pods() {
	local -A pid=() is=()
	local where what found key value
	trap - EXIT ERR
	set +eE
	end() {
		[[ -n ${pid[$1]:-} ]] || return 0
		kill "${pid[$1]}" && wait "${pid[$1]}"
		unset "pid[$1]" "is[$1]"
	} 2>/dev/null
	end_all() {
		for where in "${!pid[@]}"; do end "$where"; done
		exit 0
	}
	trap end_all TERM INT HUP
	while sleep 0.5; do
		found=$(KUBECONFIG=$dir/plane/kubeconfig "$kubectl" get deployments --all-namespaces --selector app.kubernetes.io/name=cortecs-operator --output \
			'go-template={{range .items}}{{.metadata.namespace}} {{.metadata.uid}}.{{.metadata.generation}}{{"\n"}}{{end}}' 2>/dev/null) || continue
		for where in "${!pid[@]}"; do
			[[ $'\n'$found$'\n' == *$'\n'"$where ${is[$where]}"$'\n'* ]] && kill -0 "${pid[$where]}" 2>/dev/null || end "$where"
		done
		while read -r where what; do
			[[ -n $where && -z ${pid[$where]:-} ]] || continue
			"$plane" operator-kubeconfig "$dir/plane" "$where" cortecs-operator "$dir/pod.$where" 2>/dev/null || continue
			local environment=()
			while IFS='=' read -r key value; do
				environment+=("$key=$value")
			done < <(KUBECONFIG=$dir/plane/kubeconfig "$kubectl" --namespace "$where" get deployment cortecs-operator --output \
				'go-template={{range (index .spec.template.spec.containers 0).env}}{{if .value}}{{.name}}={{.value}}{{"\n"}}{{end}}{{end}}')
			env KUBECONFIG="$dir/pod.$where" POD_NAMESPACE="$where" "${environment[@]}" CORTECS_OPERATOR_ALLOWED_API_HOSTS="http://$api_address" \
				CORTECS_OPERATOR_LISTEN=127.0.0.1:0 "$binary" run >>"$dir/pods.log" 2>&1 &
			pid[$where]=$! is[$where]=$what
		done <<<"$found"
	done
}

# The commands find helm and kubectl by their names.
make_stands() {
	mkdir -p "$dir/bin" "$dir/checkout"
	ln -sf "$kubectl" "$dir/bin/kubectl"
	cat >"$dir/bin/helm" <<END
#!/usr/bin/env bash
set -euo pipefail
more=()
case \$1 in install | upgrade) more=(--set replicaCount=0 --timeout 2m) ;; esac
[[ " \$* " != *' account.create=true '* ]] || more+=(--set account.spec.apiUrl='$api_url' --set 'config.allowedApiHosts={http://$api_address}')
exec "\$HELM_OF_TEST" "\$@" "\${more[@]}"
END
	chmod +x "$dir/bin/helm"
	printf 'CORTECS_CLIENT_ID=some-id\nCORTECS_CLIENT_SECRET=some-secret\n' >"$dir/checkout/credentials.env"
	cp -r crds deploy "$dir/checkout/"
	mkdir -p "$dir/checkout/target/debug"
	ln -s "$binary" "$dir/checkout/target/debug/cortecs-operator"
	sed -i "s|^spec:|spec:\n  apiUrl: $api_url|" "$dir/checkout/deploy/samples/account.yaml"
	# The kustomization that docs/install.md tells the reader to write.
	awk '/^## With kustomize/ { on = 1 } on && /^```$/ { exit } yaml { print } on && /^```yaml/ { yaml = 1 }' docs/install.md >"$dir/checkout/kustomization.yaml"
	grep -q high-availability "$dir/checkout/kustomization.yaml" || fail "docs/install.md has no kustomization"
}

end_process() { [[ -z $1 ]] || { kill "$1" && wait "$1" || true; } 2>/dev/null; }

# Checks that the previous section left nothing at the API, and starts a new control plane.
new_cluster() {
	[[ -z ${fresh:-} ]] || return 0
	if [[ -n $pods ]]; then
		if "$kubectl" get crd cortecsinstances.cortecs.ai >/dev/null 2>&1; then
			"$kubectl" delete cortecsinstances --all --all-namespaces --timeout=60s >/dev/null
		else
			expect "what is left of the chart's Secrets where everything was removed" "$(made_secrets)" ''
		fi
		end_process "$pods"
		end_process "$beside"
		beside=''
	fi
	expect "what is left at the API" "$(at_the_api)" ''
	"$plane" down "$dir/plane"
	"$plane" up "$dir/plane" --owner $$ >/dev/null
	until_true "the default service account" has_service_account default
	play_pods &
	pods=$!
	processes+=("$pods")
	fresh=yes
}

# Prepares the state that a section assumes.
prepare() {
	case $1 in
	docs/upgrade.md | docs/security.md | docs/uninstall.md | docs/reliability.md | docs/runbook.md | docs/troubleshooting.md | "docs/uninstall.md: Move to another namespace")
		run_commands docs/install.md "With Helm" 'delete cortecsinstance' ;;
	"docs/uninstall.md: Remove everything")
		prepare docs/uninstall.md
		# The chart makes a Secret in the account's namespace, which outlives both the release and the release's namespace.
		"$kubectl" create namespace team-a >/dev/null
		"$HELM_OF_TEST" upgrade cortecs-operator "$chart" --namespace cortecs-system --reuse-values --set "accounts[0].name=more,accounts[0].namespace=team-a" \
			--set "accounts[0].credentials.clientId=other-id,accounts[0].credentials.clientSecret=other-secret,accounts[0].spec.apiUrl=$api_url" \
			--set "config.allowedApiHosts={http://$api_address}" >/dev/null
		[[ -n $(made_secrets) ]] || fail "the chart made no Secret" ;;
	"docs/upgrade.md: With kubectl" | "docs/upgrade.md: With kustomize")
		run_commands docs/install.md "${1#*: }"
		rent ;;
	"docs/uninstall.md: Installed by kubectl or kustomize")
		run_commands docs/install.md "With kubectl"
		rent ;;
	deploy/gitops/flux/README.md)
		"$kubectl" apply --server-side -f "$(tests/tools/tools kustomize-controller)/config/crd/bases" -f "$(tests/tools/tools source-controller)/config/crd/bases" >/dev/null
		until_true "the definitions to be served" all_established
		"$kubectl" create namespace flux-system >/dev/null ;;
	deploy/gitops/argocd/README.md)
		argo_definitions
		until_true "the definitions to be served" all_established
		"$kubectl" --namespace argocd create configmap argocd-cm >/dev/null ;;
	"docs/uninstall.md: When the operator is gone already")
		"$kubectl" apply --server-side -f crds/ >/dev/null
		"$kubectl" create namespace cortecs-system >/dev/null
		until_true "the kinds to be served" has_samples
		"$kubectl" patch cortecsinstance mistral --type merge --patch '{"metadata":{"finalizers":["cortecs.ai/instance"]}}' >/dev/null
		"$kubectl" delete cortecsinstance mistral --wait=false >/dev/null ;;
	esac
}
# Rents the same instance as docs/install.md.
rent() {
	"$kubectl" apply -f deploy/samples/instance.yaml >/dev/null
	asked=$((asked + 1))
	"$kubectl" wait --for=condition=Ready cortecsinstance/mistral --timeout=2m >/dev/null
}
has_samples() { "$kubectl" apply -f "$dir/checkout/deploy/samples/account.yaml" -f deploy/samples/instance.yaml >/dev/null 2>&1; }
at_the_api() { control 'instances?client_id=some-id' | values status | paste -sd ' ' || true; }
labelled() { "$kubectl" get "$1" --all-namespaces --selector app.kubernetes.io/name=cortecs-operator --output "$2"; }
images() { labelled deployments 'jsonpath={range .items[*].spec.template.spec.containers[*]}{.image}{"\n"}{end}' | sort -u; }
made_secrets() { labelled secrets name; }

# run_commands FILE [HEADING [BUT]] runs the commands whose mark permits it here, except those that match BUT.
run_commands() {
	local line mark heading command image
	while IFS=$'\t' read -r line mark heading command <&3; do
		[[ -z ${3:-} || ! $command =~ $3 ]] || continue
		[[ -z $again || -n ${2:-} ]] || grep -q $'\t'"$heading"$'\thelm ' "$dir/commands" || continue
		case $mark in
		node | never)
			[[ -n ${2:-} ]] || left[$mark]=$((${left[$mark]:-0} + 1))
			continue
			;;
		new)
			new_cluster
			prepare "$1: $heading"
			;;
		esac
		fresh=''
		ran=$((ran + 1))
		[[ $command != *samples/instance.yaml* ]] || asked=$((asked + 1))
		if [[ $mark == beside ]]; then
			(cd "$dir/checkout" && exec env CORTECS_OPERATOR_ALLOWED_API_HOSTS="http://$api_address" bash -c "exec env ${command/:8080/:0}") >>"$dir/pods.log" 2>&1 </dev/null &
			beside=$!
			processes+=("$beside")
			continue
		fi
		(cd "$dir/checkout" && PATH=$dir/bin:$PATH timeout 180 bash -euo pipefail -c "$command" </dev/null) >"$dir/said" 2>&1 || {
			tail -n 20 "$dir/said" >&2
			echo "--- the operator's last words" >&2
			tail -n 5 "$dir/pods.log" >&2
			fail "$1:$line: $command"
		}
		# The pods of a real operator could start: no command names another image than the one that was pushed.
		image=$(images)
		[[ -z $image || $image == "$pushed" ]] || fail "$1:$line: the image is now '$image', not '$pushed': $command"
	done 3< <(tests/docs/commands "$1" "${2:-}")
}

# tell HELM DOCUMENT... runs the documents' commands with that Helm.
tell() {
	export HELM_OF_TEST=$1
	local document before since
	for document in "${@:2}"; do
		before=$ran since=$SECONDS
		tests/docs/commands "$document" >"$dir/commands" || fail "see above"
		if grep -q $'\t\(here\|new\)\t' "$dir/commands"; then
			new_cluster
			prepare "$document"
		fi
		run_commands "$document"
		[[ $ran == "$before" ]] || say "  $document: $((ran - before)) commands ($((SECONDS - since)) s)"
	done
}

test_docs() {
	# asked: the number of requested instances. again: set for the second Helm, which skips sections without Helm.
	local binary api_url api_address pushed pods='' beside='' fresh='' ran=0 asked=0 again=''
	local -A left=()
	kubectl=$("$plane" kubectl-path)
	simulate
	pushed=registry.example/cortecs-operator:$(deploy/release version)
	: >"$dir/pods.log"
	export KUBECONFIG=$dir/plane/kubeconfig
	make_stands
	# DOCS="FILE…" runs only these documents.
	# Both documents of with_4 begin with the installation by Helm of docs/install.md.
	local with_3 with_4=(docs/upgrade.md docs/uninstall.md)
	mapfile -t with_3 < <(tests/docs/commands)
	[[ -z ${DOCS:-} ]] || read -ra with_3 <<<"$DOCS"
	[[ -z ${DOCS:-} ]] || with_4=()
	tell "$helm3" "${with_3[@]}"
	local ran_by_3=$ran again=yes
	tell "$helm4" "${with_4[@]}"
	new_cluster
	# No upgrade, rollback, uninstallation or move starts an instance again.
	expect "the starts" "$(calls start)" "$asked"
	say "docs: $ran_by_3 commands run with Helm 3, $((ran - ran_by_3)) with Helm 4; left to a cluster with a node: ${left[node]:-0}; never run, for a reason: ${left[never]:-0}"
	end_process "$pods"
	"$plane" down "$dir/plane"
	export KUBECONFIG=$dir/none
}
