# shellcheck shell=bash
# The certificate authority and its certificates. Sourced by cluster.

elliptic=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

make_certificates() {
	mkdir "$dir/pki"
	cd "$dir/pki"
	quietly openssl req -x509 "${elliptic[@]}" -days 30 -keyout ca.key -out ca.crt -subj /CN=cluster \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,digitalSignature
	quietly openssl ecparam -name prime256v1 -genkey -noout -out service-account.key
	certificate kube-apiserver kube-apiserver none "IP:$address,IP:$first_service,IP:127.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
	certificate kubelet "system:node:$node" system:nodes "IP:$address,DNS:$node"
	certificate admin admin system:masters
	local server
	for server in kube-controller-manager kube-scheduler kube-proxy; do
		certificate "$server" "system:$server" none
	done
	for server in admin kubelet kube-controller-manager kube-scheduler kube-proxy; do
		kubeconfig "$server" >"$dir/$server.kubeconfig"
	done
	cd "$root"
}

# certificate FILE USER GROUP [NAMES] makes a certificate for clients, and for a server of these names.
certificate() {
	quietly openssl req "${elliptic[@]}" -keyout "$1.key" -out "$1.csr" -subj "/O=$3/CN=$2"
	quietly openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out "$1.crt" \
		-extfile <(
			echo extendedKeyUsage=clientAuth,serverAuth
			[[ -z ${4:-} ]] || echo "subjectAltName=$4"
		)
	rm "$1.csr"
}

quietly() {
	local output
	output=$("$@" 2>&1) || fail "$*: $output"
}

kubeconfig() {
	cat <<END
apiVersion: v1
kind: Config
current-context: cluster
clusters:
  - name: cluster
    cluster: {server: "https://$address:$api_port", certificate-authority-data: $(base64 -w 0 ca.crt)}
users:
  - name: $1
    user: {client-certificate-data: $(base64 -w 0 "$1.crt"), client-key-data: $(base64 -w 0 "$1.key")}
contexts:
  - name: cluster
    context: {cluster: cluster, user: $1}
END
}
