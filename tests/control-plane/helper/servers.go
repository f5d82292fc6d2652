package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func url(port int, path string) string {
	return fmt.Sprintf("https://127.0.0.1:%d%s", port, path)
}

// etcdFlags: TLS both ways, since a port may turn out to be another control
// plane's etcd; nothing is worth an fsync.
func (p plane) etcdFlags(clientPort, peerPort int) []string {
	certificate, key, ca := p.path("pki", "etcd.crt"), p.path("pki", "etcd.key"), p.path("pki", "etcd-ca.crt")
	return []string{
		"--name=default",
		"--data-dir=" + p.path("etcd"),
		"--listen-client-urls=" + url(clientPort, ""),
		"--advertise-client-urls=" + url(clientPort, ""),
		"--listen-peer-urls=" + url(peerPort, ""),
		"--initial-advertise-peer-urls=" + url(peerPort, ""),
		"--initial-cluster=default=" + url(peerPort, ""),
		"--cert-file=" + certificate, "--key-file=" + key,
		"--client-cert-auth", "--trusted-ca-file=" + ca,
		"--peer-cert-file=" + certificate, "--peer-key-file=" + key,
		"--peer-client-cert-auth", "--peer-trusted-ca-file=" + ca,
		"--unsafe-no-fsync",
		"--log-level=warn",
	}
}

// apiserverFlags: the endpoints of the kubernetes Service are left alone, since
// they may not be on the loopback and no pod runs that would use them.
func (p plane) apiserverFlags(port, etcdPort int) []string {
	return []string{
		"--etcd-servers=" + url(etcdPort, ""),
		"--etcd-cafile=" + p.path("pki", "etcd-ca.crt"),
		"--etcd-certfile=" + p.path("pki", "etcd-client.crt"),
		"--etcd-keyfile=" + p.path("pki", "etcd-client.key"),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + p.path("pki", "server.crt"),
		"--tls-private-key-file=" + p.path("pki", "server.key"),
		"--client-ca-file=" + p.path("pki", "ca.crt"),
		"--anonymous-auth=false",
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + p.path("pki", "service-account.key"),
		"--service-account-signing-key-file=" + p.path("pki", "service-account.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--profiling=false",
	}
}

// controllerManagerFlags: a rate that does not make namespaces slow to go.
func (p plane) controllerManagerFlags(port int) []string {
	return []string{
		"--kubeconfig=" + p.path("pki", "controller-manager.kubeconfig"),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + p.path("pki", "server.crt"),
		"--tls-private-key-file=" + p.path("pki", "server.key"),
		"--root-ca-file=" + p.path("pki", "ca.crt"),
		"--service-account-private-key-file=" + p.path("pki", "service-account.key"),
		"--use-service-account-credentials",
		"--leader-elect=false",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
		"--profiling=false",
	}
}

// freePorts holds all of them at once, so that they differ.
func freePorts(count int) ([]int, error) {
	var ports []int
	for range count {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// A probe asks as the administrator and trusts this control plane's authority
// only: the server that answers is ours and no other on the same machine.
type probe struct {
	client http.Client
}

func (p plane) newProbe() (*probe, error) {
	cluster, err := p.readAuthority("ca")
	if err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	certificatePEM, err := cluster.sign(client("control-plane-probe", []string{"system:masters"}), key)
	if err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificatePEM, keyPEM)
	if err != nil {
		return nil, err
	}
	caPEM, err := os.ReadFile(p.path("pki", "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(caPEM) {
		return nil, errors.New("cannot read ca.crt")
	}
	return &probe{client: http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
		},
	}}, nil
}

// get returns nil for a 200, and otherwise what was answered instead.
func (p *probe) get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 2048))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	return nil
}
