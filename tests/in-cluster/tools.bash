# shellcheck shell=bash
# Helpers of the tests. Sourced by check.

timed() {
	local what=$1 since=$SECONDS
	shift
	"$@"
	say "passed: $what ($((SECONDS - since)) s)" >&2
}

# until_true WHAT COMMAND... waits until the command succeeds, and fails after a deadline.
until_true() {
	local what=$1 end=$((SECONDS + deadline))
	shift
	until "$@"; do
		((SECONDS < end)) || fail "waited in vain for $what"
		sleep 0.1
	done
}

expect() { [[ $2 == "$3" ]] || fail "$1: '$2', not '$3'"; }

# refused PATTERN COMMAND... checks that the command fails with that message.
refused() {
	local pattern=$1 output
	shift
	if output=$("$@" 2>&1); then
		fail "not refused: $*"
	fi
	grep -Eq -- "$pattern" <<<"$output" || fail "refused, but not for '$pattern': $* : $output"
}

milliseconds() { date +%s%3N; }

# Builds the operator's image under two names, to check that both are identical and to have an image for an upgrade. Builds images
# of the simulated API, and of kubectl for a client.
build_images() {
	local first second
	first=$(deploy/image/build localhost/cortecs-operator:dev)
	cp target/image/cortecs-operator.tar "$dir/dev.tar"
	second=$(deploy/image/build localhost/cortecs-operator:next)
	cp target/image/cortecs-operator.tar "$dir/next.tar"
	expect "the digest of the same image, packed again" "$second" "$first"
	deploy/image/stage "$dir/simulator" cortecs-simulator
	deploy/image/pack --name localhost/cortecs-simulator:dev --output "$dir/simulator.tar" --entrypoint /cortecs-simulator "$dir/simulator" >/dev/null
	mkdir "$dir/client"
	cp "$("$cluster" binaries | awk '$1 == "kubectl" { print $2 }')" "$dir/client/kubectl"
	deploy/image/pack --name localhost/kubectl:dev --output "$dir/client.tar" --entrypoint /kubectl "$dir/client" >/dev/null
}

# traces prints everything that a node could leave on its machine.
traces() {
	sort /proc/self/mounts
	ip -oneline link | cut -d ' ' -f 2
	ip -oneline address | awk '{ print $2, $4 }'
	ip route
	nft list tables
	find /sys/fs/cgroup -maxdepth 2 -type d | sort
	find /run/netns /run/containerd /var/lib/cni /var/lib/kubelet /var/lib/cortecs-operator-cluster /var/log/containers /var/log/pods \
		2>/dev/null | sort || true
	for sysctl in net/ipv4/ip_forward vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops; do
		printf '%s %s\n' "$sysctl" "$(cat "/proc/sys/$sysctl")"
	done
	# Servers are found by the mark of tests/cluster, containers by their command.
	for process in /proc/[0-9]*; do
		if grep -qz '^CORTECS_OPERATOR_CLUSTER=' "$process/environ" || [[ $(readlink "$process/exe") == /@(pause|kubectl|cortecs-operator|cortecs-simulator) ]]; then
			tr '\0' ' ' <"$process/cmdline"
		fi
	done 2>/dev/null || true
}

# collect FOLDER keeps the logs and objects that show the cause of a failure.
collect() {
	local kind
	"$cluster" logs "$1/logs"
	"$kubectl" get events --all-namespaces --sort-by .metadata.creationTimestamp >"$1/events"
	for kind in nodes pods deployments leases services networkpolicies cortecsaccounts cortecsinstances; do
		"$kubectl" get "$kind" --all-namespaces --output yaml >"$1/$kind.yaml"
	done
	"$kubectl" describe pods --all-namespaces >"$1/pods.txt"
	control counts >"$1/api-counts.json"
	control requests >"$1/api-requests.json"
	control instances >"$1/api-instances.json"
}

held() { control "instances?client_id=$client_id" | jq --raw-output 'sort_by(.instance_id)[] | "\(.instance_id) \(.instance_status.status)"'; }
