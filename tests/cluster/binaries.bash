# shellcheck shell=bash
# The binaries of the node. Sourced by cluster.

build_flags=(-mod=readonly -trimpath -buildvcs=false)
containerd=github.com/containerd/containerd/v2
runc=github.com/opencontainers/runc
plugins=github.com/containernetworking/plugins/plugins
kubernetes_servers=(etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)
node_programs=(containerd containerd-shim-runc-v2 ctr runc ptp host-local coredns pause)
declare -A binary=()

version_of() { awk -v module="$1" '$1 == module { print $2; exit }' "$here/go.mod"; }

programs_dir() {
	printf '%s/cluster-%s' "$cache" "$(hash_of "${build_flags[*]} $(declare -f build_program)" "$here/go.mod" "$here/go.sum" "$here"/*/main.go)"
}

build_program() {
	local name=$1 path=$2 version
	case $name in
	containerd | containerd-shim-runc-v2 | ctr)
		version=$(version_of "$containerd")
		build "$containerd/cmd/$name" "$path" "-s -w -X $containerd/version.Version=$version" \
			-tags 'no_btrfs no_devmapper no_zfs netgo osusergo static_build'
		;;
	runc)
		version=$(version_of "$runc")
		# Pod Security restricted requires a seccomp profile, for which runc needs a C library.
		cgo=1 build "$runc" "$path" "-s -w -X main.version=${version#v}" -tags 'seccomp netgo osusergo'
		;;
	ptp) build "$plugins/main/ptp" "$path" ;;
	host-local) build "$plugins/ipam/host-local" "$path" ;;
	coredns) build ./dns "$path" ;;
	pause) build ./pause "$path" ;;
	esac
}

build_programs() {
	local name began
	for name in "${node_programs[@]}"; do
		[[ ! -x $1/$name ]] || continue
		began=$SECONDS
		say "building $name in $1, once"
		build_program "$name" "$1/$name"
		say "built $name in $((SECONDS - began)) s"
	done
}

# need_binaries fills $binary with the paths of the binaries, and builds the missing ones.
need_binaries() {
	local name path programs
	[[ ${#binary[@]} -eq 0 ]] || return 0
	programs=$(programs_dir)
	for name in "${node_programs[@]}"; do
		[[ -x $programs/$name ]] || {
			locked "$programs" build_programs "$programs"
			break
		}
	done
	for name in "${node_programs[@]}"; do
		binary[$name]=$programs/$name
	done
	# All binaries have one version, so those of KUBEBUILDER_ASSETS are not used.
	path=$(env -u KUBEBUILDER_ASSETS "$root/tests/control-plane/control-plane" binaries "${kubernetes_servers[@]}")
	while read -r name path; do
		binary[$name]=$path
	done <<<"$path"
}

cmd_binaries() {
	local name
	need_binaries
	for name in "${kubernetes_servers[@]}" "${node_programs[@]}"; do
		printf '%s %s\n' "$name" "${binary[$name]}"
	done
}
