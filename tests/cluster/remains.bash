# shellcheck shell=bash
# Records the state of the machine before the node runs, and restores it afterwards. Sourced by cluster.

network=cortecs-cluster
# The kubelet sets all of them but the first.
sysctls=(net/ipv4/ip_forward vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops)

# A real node has the same tables and control groups, and remove would delete them.
refuse_other_nodes() {
	[[ -z $(kubepods) ]] || fail "this machine is the node of another cluster: it has a control group kubepods"
	local family
	for family in ip ip6; do
		! nft list table "$family" kube-proxy >/dev/null 2>&1 ||
			fail "this machine is the node of another cluster: it has a table kube-proxy of nftables"
	done
	[[ -z $(ip -oneline address show to "$address/32") ]] || fail "this machine has the address $address already"
}

kubepods() { find /sys/fs/cgroup -maxdepth 2 -name kubepods -type d; }

remember() {
	local sysctl
	for sysctl in "${sysctls[@]}"; do
		printf '%s %s\n' "$sysctl" "$(cat "/proc/sys/$sysctl")"
	done >"$dir/sysctls"
	find /run/netns -maxdepth 1 -name 'cni-*' >"$dir/netns" 2>/dev/null || true
}

# running PID is true for a process that is no zombie: an init that reaps late leaves dead processes visible for a while.
running() { grep -q '^State:[[:space:]]*[A-WY]' "/proc/$1/status" 2>/dev/null; }

# ours prints the processes that cluster started and that still run, without this script. Shims and containers outlive their
# parents.
ours() {
	local process group
	{
		for process in /proc/[0-9]*; do
			if tr '\0' '\n' 2>/dev/null <"$process/environ" | grep -qxF "$mark"; then
				printf '%s\n' "${process#/proc/}"
			fi
		done
		for group in $(kubepods); do
			find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null || true
		done
	} | sort -un | while read -r process; do
		[[ $process -eq $$ || $process -eq $BASHPID ]] || ! running "$process" || printf '%s\n' "$process"
	done
}

end_processes() {
	local processes deadline=$((SECONDS + 30))
	while processes=$(ours) && [[ -n $processes ]]; do
		((SECONDS < deadline)) || fail "these do not end: $(paste -sd ' ' <<<"$processes")"
		# All state is deleted, so no process needs a clean end.
		# shellcheck disable=SC2086
		kill -KILL $processes 2>/dev/null || true
		sleep 0.1
	done
}

remove() {
	local path value family group
	[[ -d $dir ]] || return 0
	end_processes
	# The bundle of a shim names its socket.
	for path in "$dir"/containerd/state/io.containerd.runtime.v2.task/*/*/bootstrap.json; do
		[[ ! -f $path ]] || rm -f "$(sed 's|.*"unix://\([^"]*\)".*|\1|' "$path")"
	done
	awk -v dir="$dir/" 'index($2, dir) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r path; do
		umount --lazy "$path"
	done
	for path in /run/netns/cni-*; do
		[[ -e $path ]] && ! grep -qxF "$path" "$dir/netns" || continue
		umount --lazy "$path" 2>/dev/null || true
		rm -f "$path"
	done
	for group in $(kubepods); do
		find "$group" -depth -type d -exec rmdir {} +
	done
	for family in ip ip6; do
		nft delete table "$family" kube-proxy 2>/dev/null || true
	done
	ip address del "$address/32" dev lo 2>/dev/null || true
	while read -r path value; do
		printf '%s\n' "$value" >"/proc/sys/$path"
	done <"$dir/sysctls"
	find /var/log/containers -type l -lname "$dir/*" -delete 2>/dev/null || true
	rm -f /var/lib/cni/results/"$network"-* /var/lib/kubelet/device-plugins/{kubelet.sock,kubelet_internal_checkpoint}
	rmdir --ignore-fail-on-non-empty /run/containerd/s /run/containerd /run/netns /var/log/containers \
		/var/lib/cni/{results,} /var/lib/kubelet/{device-plugins,} 2>/dev/null || true
	rm -rf --one-file-system "$dir"
}
