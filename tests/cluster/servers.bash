# shellcheck shell=bash
# The servers and their settings. Sourced by cluster.

node=node-1
pods=10.244.0.0/24
services=10.96.0.0/16
first_service=10.96.0.1
api_port=16443
etcd_port=12379
etcd_peer_port=12380
pause_image=localhost/cortecs-pause:dev

start() {
	local name=$1
	shift
	# The server gets its own session, which an interrupt from the terminal does not reach. It is no job of this shell, so the
	# shell does not report its end.
	(env "$mark" "PATH=$(dirname "${binary[runc]}"):$PATH" setsid "${binary[$name]}" "$@" </dev/null >>"$dir/log/$name.log" 2>&1 9>&- &)
}

ctr() { "${binary[ctr]}" --address "$socket" --namespace k8s.io "$@"; }
admin() { KUBECONFIG=$dir/admin.kubeconfig KUBECACHEDIR=$dir/kubectl-cache "${binary[kubectl]}" "$@"; }

# until_true WHAT COMMAND... waits until the command succeeds, and fails after a deadline.
until_true() {
	local what=$1 deadline=$((SECONDS + 300))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || fail "waited in vain for $what"
		sleep 0.1
	done
}

start_servers() {
	ip address add "$address/32" dev lo
	echo 1 >/proc/sys/net/ipv4/ip_forward
	make_certificates
	start_containerd
	start_etcd
	start_apiserver
	until_true containerd ctr version
	import_pause
	until_true "the API server" admin get --raw /readyz
	start_controllers
	start_dns
	start_kubelet
	start_proxy
	admin wait --for=create "node/$node" --timeout=300s >/dev/null
	admin wait --for=condition=Ready "node/$node" --timeout=300s >/dev/null
	admin wait --for=create serviceaccount/default --timeout=300s >/dev/null
	until_true DNS dns_is_ready
	touch "$dir/ready"
}

import_pause() {
	mkdir "$dir/pause"
	cp "${binary[pause]}" "$dir/pause/pause"
	"$root/deploy/image/pack" --name "$pause_image" --output "$dir/pause.tar" --entrypoint /pause "$dir/pause" >/dev/null
	quietly ctr images import "$dir/pause.tar"
}

# Version 4 of the configuration ignores [grpc]. Root in a sandbox may not lower scores of the OOM killer.
start_containerd() {
	mkdir -p "$dir/containerd" "$dir/cni"
	cat >"$dir/containerd/config.toml" <<END
version = 3
root = "$dir/containerd/root"
state = "$dir/containerd/state"
oom_score = 0
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.blockfile"]
[grpc]
  address = "$socket"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "$pause_image"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["$(dirname "${binary[ptp]}")"]
    conf_dir = "$dir/cni"
    use_internal_loopback = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = "${binary[runc]}"
      SystemdCgroup = false
      Root = "$dir/runc"
END
	# A point-to-point link from each pod to the node, which needs no bridge and no iptables.
	cat >"$dir/cni/10-ptp.conflist" <<END
{"cniVersion": "1.0.0", "name": "$network", "plugins": [{"type": "ptp", "ipMasq": false, "mtu": 1500,
 "ipam": {"type": "host-local", "dataDir": "$dir/addresses", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
	start containerd --config "$dir/containerd/config.toml"
}

# A key of the authority makes its holder root here, so the folder is closed to other users.
start_etcd() {
	local client=https://127.0.0.1:$etcd_port peer=https://127.0.0.1:$etcd_peer_port
	start etcd --data-dir "$dir/etcd" --unsafe-no-fsync --log-level warn \
		--listen-client-urls "$client" --advertise-client-urls "$client" \
		--listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer" \
		--cert-file "$dir/pki/kube-apiserver.crt" --key-file "$dir/pki/kube-apiserver.key" \
		--client-cert-auth --trusted-ca-file "$dir/pki/ca.crt" \
		--peer-cert-file "$dir/pki/kube-apiserver.crt" --peer-key-file "$dir/pki/kube-apiserver.key" \
		--peer-client-cert-auth --peer-trusted-ca-file "$dir/pki/ca.crt"
}

start_apiserver() {
	local pki=$dir/pki
	start kube-apiserver --secure-port "$api_port" --bind-address 0.0.0.0 --advertise-address "$address" \
		--etcd-servers "https://127.0.0.1:$etcd_port" --etcd-cafile "$pki/ca.crt" \
		--etcd-certfile "$pki/kube-apiserver.crt" --etcd-keyfile "$pki/kube-apiserver.key" \
		--tls-cert-file "$pki/kube-apiserver.crt" --tls-private-key-file "$pki/kube-apiserver.key" \
		--client-ca-file "$pki/ca.crt" --cert-dir "$pki" --anonymous-auth=false \
		--authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged \
		--service-cluster-ip-range "$services" --service-account-issuer https://kubernetes.default.svc \
		--service-account-key-file "$pki/service-account.key" --service-account-signing-key-file "$pki/service-account.key" \
		--kubelet-client-certificate "$pki/admin.crt" --kubelet-client-key "$pki/admin.key" \
		--kubelet-certificate-authority "$pki/ca.crt" --kubelet-preferred-address-types InternalIP --profiling=false
}

start_controllers() {
	local pki=$dir/pki
	start kube-controller-manager --kubeconfig "$dir/kube-controller-manager.kubeconfig" \
		--bind-address 127.0.0.1 --secure-port 16257 --cert-dir "$pki/kube-controller-manager" \
		--root-ca-file "$pki/ca.crt" --service-account-private-key-file "$pki/service-account.key" \
		--flex-volume-plugin-dir "$dir/volume-plugins" \
		--use-service-account-credentials --leader-elect=false --kube-api-qps 200 --kube-api-burst 400 --profiling=false
	start kube-scheduler --kubeconfig "$dir/kube-scheduler.kubeconfig" --leader-elect=false \
		--bind-address 127.0.0.1 --secure-port 16259 --cert-dir "$pki/kube-scheduler"
}

# CoreDNS listens on the node's own address, so it needs no pod. It resolves no names outside of the cluster, by design.
start_dns() {
	cat >"$dir/Corefile" <<END
.:53 {
  bind $address
  errors
  ready 127.0.0.1:16181
  kubernetes cluster.local {
    kubeconfig $dir/admin.kubeconfig cluster
  }
  cache 5
}
END
	start coredns -conf "$dir/Corefile"
}

dns_is_ready() {
	local connection answer
	exec {connection}<>/dev/tcp/127.0.0.1/16181
	printf 'GET /ready HTTP/1.0\r\n\r\n' >&"$connection"
	read -r answer <&"$connection"
	exec {connection}>&-
	[[ $answer == *' 200 '* ]]
}

# failCgroupV1: tests may run on machines that still mount version 1.
start_kubelet() {
	cat >"$dir/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix://$socket
address: $address
port: 16250
healthzPort: 16248
readOnlyPort: 0
tlsCertFile: $dir/pki/kubelet.crt
tlsPrivateKeyFile: $dir/pki/kubelet.key
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $dir/pki/ca.crt}
authorization: {mode: Webhook}
clusterDomain: cluster.local
clusterDNS: [$address]
failSwapOn: false
makeIPTablesUtilChains: false
evictionHard: {memory.available: 100Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%, imagefs.inodesFree: 0%}
imageGCHighThresholdPercent: 100
volumePluginDir: $dir/volume-plugins
podLogsDir: $dir/pod-logs
END
	start kubelet --config "$dir/kubelet.yaml" --kubeconfig "$dir/kubelet.kubeconfig" --root-dir "$dir/kubelet" \
		--cert-dir "$dir/pki/kubelet" --hostname-override "$node" --node-ip "$address"
}

# kube-proxy ends when its file changes, so the file is written once. The limits of connections are not changed.
start_proxy() {
	cat >"$dir/kube-proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $dir/kube-proxy.kubeconfig}
clusterCIDR: $pods
hostnameOverride: $node
healthzBindAddress: 127.0.0.1:16256
metricsBindAddress: 127.0.0.1:16249
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
END
	start kube-proxy --config "$dir/kube-proxy.yaml"
}
