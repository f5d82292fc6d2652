package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

const validity = 365 * 24 * time.Hour

// An authority signs certificates. The cluster's and etcd's differ, so that no
// user of the cluster can talk to etcd.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// writePKI writes pki/: both authorities, the serving certificate, etcd's client
// certificate and the service-account key. The kubeconfigs need the API server's
// port and come later.
func (p plane) writePKI() error {
	if err := os.MkdirAll(p.path("pki"), 0o700); err != nil {
		return err
	}
	cluster, err := p.newAuthority("ca")
	if err != nil {
		return err
	}
	etcd, err := p.newAuthority("etcd-ca")
	if err != nil {
		return err
	}
	if err := p.issueInto("server", cluster, serving("kube-apiserver")); err != nil {
		return err
	}
	if err := p.issueInto("etcd", etcd, serving("etcd")); err != nil {
		return err
	}
	if err := p.issueInto("etcd-client", etcd, client("kube-apiserver", nil)); err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	return writeAtomically(p.path("pki", "service-account.key"), string(keyPEM))
}

func (p plane) newAuthority(name string) (authority, error) {
	key, err := newKey()
	if err != nil {
		return authority{}, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "control-plane " + name},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	created := authority{certificate: template, key: key}
	certificatePEM, err := created.sign(template, key)
	if err != nil {
		return authority{}, err
	}
	if err := p.writePair(name, certificatePEM, key); err != nil {
		return authority{}, err
	}
	return p.readAuthority(name)
}

func (p plane) readAuthority(name string) (authority, error) {
	pair, err := tls.LoadX509KeyPair(p.path("pki", name+".crt"), p.path("pki", name+".key"))
	if err != nil {
		return authority{}, fmt.Errorf("%s holds no running control plane: %w", p.dir, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return authority{}, fmt.Errorf("%s.key is of another kind", name)
	}
	return authority{certificate: pair.Leaf, key: key}, nil
}

func (p plane) issueInto(name string, by authority, template *x509.Certificate) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	certificatePEM, err := by.sign(template, key)
	if err != nil {
		return err
	}
	return p.writePair(name, certificatePEM, key)
}

func (p plane) writePair(name string, certificatePEM []byte, key *ecdsa.PrivateKey) error {
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		writeAtomically(p.path("pki", name+".crt"), string(certificatePEM)),
		writeAtomically(p.path("pki", name+".key"), string(keyPEM)),
	)
}

func (a authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(validity)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// serving is for both ends of a connection: etcd also calls itself with it.
func serving(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
}

// client is how Kubernetes reads a user: the name and the groups of the subject.
func client(user string, groups []string) *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// writeUserKubeconfig writes a kubeconfig for a user that the cluster knows by a
// client certificate. What the user may do is up to RBAC.
func (p plane) writeUserKubeconfig(out, user string, groups []string) error {
	cluster, err := p.readAuthority("ca")
	if err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	certificatePEM, err := cluster.sign(client(user, groups), key)
	if err != nil {
		return err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	return p.writeKubeconfig(out, user, map[string]any{
		"client-certificate-data": certificatePEM,
		"client-key-data":         keyPEM,
	})
}

// writeTokenKubeconfig writes a kubeconfig for the bearer of a token.
func (p plane) writeTokenKubeconfig(out, token string) error {
	if token == "" {
		return errors.New("no token on the standard input")
	}
	return p.writeKubeconfig(out, "token", map[string]any{"token": token})
}

// writeKubeconfig writes JSON, which every reader of kubeconfigs takes as YAML.
// Byte slices become base64, as the *-data fields want.
func (p plane) writeKubeconfig(out, user string, credentials map[string]any) error {
	caPEM, err := os.ReadFile(p.path("pki", "ca.crt"))
	if err != nil {
		return err
	}
	server, err := os.ReadFile(p.path("pki", "server.url"))
	if err != nil {
		return err
	}
	named := func(name, kind string, value any) []any {
		return []any{map[string]any{"name": name, kind: value}}
	}
	const cluster = "control-plane"
	content, err := json.MarshalIndent(map[string]any{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": cluster,
		"clusters":        named(cluster, "cluster", map[string]any{"server": string(server), "certificate-authority-data": caPEM}),
		"users":           named(user, "user", credentials),
		"contexts":        named(cluster, "context", map[string]any{"cluster": cluster, "user": user}),
	}, "", "  ")
	if err != nil {
		return err
	}
	return writeAtomically(out, string(content)+"\n")
}
