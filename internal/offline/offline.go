// Package offline makes what manual mode needs without a cluster: a folder with a certificate for each server of the chart,
// the Secrets that hold them, and the values that name both.
//
//	ca.crt                          what the API server and the router's clients have to trust
//	secrets.yaml                    the Secrets, for kubectl apply
//	values.yaml                     the values, for helm install
//	registry-webhook-certs-manual/tls.crt  the certificate, followed by the CAs between it and the root
//	registry-webhook-certs-manual/tls.key
//	...
//
// A CA that signs elsewhere takes two steps: [Request] fills the folders of the servers with keys and certificate requests,
// and [Import] takes the certificates that were put beside them.
package offline

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// The names of the files.
const (
	fileCA      = "ca.crt"
	fileSecrets = "secrets.yaml"
	fileValues  = "values.yaml"
	fileCert    = "tls.crt"
	fileKey     = "tls.key"
	fileRequest = "tls.csr"
)

// Certificate is what a folder holds for one server.
type Certificate struct {
	Secret   string
	DNSNames []string
	// NotAfter is when clients stop to accept it. Zero when it is only requested.
	NotAfter time.Time
}

// Generate fills the folder dir with certificates that authority has signed, as spec says but for the DNS names.
func Generate(dir string, site Site, authority *gen.Authority, spec gen.Spec, force bool, now time.Time) ([]Certificate, error) {
	found, err := check(dir, force)
	if err != nil {
		return nil, err
	}
	var bundles []gen.Bundle
	for _, srv := range site.servers() {
		spec.DNSNames = site.dnsNames(srv)
		b, err := authority.Issue(spec, now)
		if err != nil {
			return nil, fmt.Errorf("making the certificate of %s: %w", srv.service, err)
		}
		bundles = append(bundles, b)
	}
	files, err := complete(site, bundles)
	if err != nil {
		return nil, err
	}
	return describe(site, bundles, now), fill(dir, files, found)
}

// Request fills the folder dir with keys and requests for certificates, as spec says but for the DNS names and the validity.
func Request(dir string, site Site, spec gen.Spec, force bool) ([]Certificate, error) {
	found, err := check(dir, force)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, srv := range site.servers() {
		spec.DNSNames = site.dnsNames(srv)
		r, err := gen.NewRequest(spec)
		if err != nil {
			return nil, fmt.Errorf("making the request of %s: %w", srv.service, err)
		}
		files[path.Join(srv.secret, fileKey)] = r.Key
		files[path.Join(srv.secret, fileRequest)] = r.CSR
	}
	return describe(site, nil, time.Time{}), fill(dir, files, found)
}

// Import completes the folder dir that Request has filled, when tls.crt has been put beside every tls.key. The PEM cas holds
// the certificates of the CA that has signed them and of those above it.
func Import(dir string, site Site, cas []byte, force bool, now time.Time) ([]Certificate, error) {
	found, err := checkImport(dir, site, force)
	if err != nil {
		return nil, err
	}
	kept := map[string][]byte{}
	var bundles []gen.Bundle
	for _, srv := range site.servers() {
		file := map[string][]byte{}
		for _, name := range []string{fileKey, fileCert, fileRequest} {
			data, err := os.ReadFile(filepath.Join(dir, srv.secret, name))
			if os.IsNotExist(err) && name == fileRequest {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("reading what the CA has to sign or has signed: %w", err)
			}
			file[name] = data
		}
		b, err := gen.Assemble(file[fileCert], file[fileKey], cas, site.dnsNames(srv), now)
		if err != nil {
			return nil, fmt.Errorf("checking %s: %w", filepath.Join(dir, srv.secret, fileCert), err)
		}
		bundles = append(bundles, b)
		if r := file[fileRequest]; r != nil {
			kept[path.Join(srv.secret, fileRequest)] = r
		}
	}
	files, err := complete(site, bundles)
	if err != nil {
		return nil, err
	}
	maps.Copy(files, kept)
	return describe(site, bundles, now), fill(dir, files, found)
}

// complete is the content of a folder whose servers have these bundles, by path.
func complete(site Site, bundles []gen.Bundle) (map[string][]byte, error) {
	var cas gen.CASet
	files := map[string][]byte{}
	for i, srv := range site.servers() {
		b := bundles[i]
		files[path.Join(srv.secret, fileCert)] = b.Cert
		files[path.Join(srv.secret, fileKey)] = b.Key
		trusted, _ := gen.ParseCertificates(b.CA)
		for _, c := range trusted {
			if !cas.Contains(c) {
				cas = append(cas, c)
			}
		}
	}
	files[fileCA] = cas.PEM()
	var err error
	if files[fileSecrets], err = secrets(site, bundles); err != nil {
		return nil, err
	}
	files[fileValues], err = values(site, files[fileCA])
	return files, err
}

// describe says what the site's servers have got.
func describe(site Site, bundles []gen.Bundle, now time.Time) []Certificate {
	var all []Certificate
	for i, srv := range site.servers() {
		c := Certificate{Secret: srv.secret, DNSNames: site.dnsNames(srv)}
		if bundles != nil {
			c.NotAfter = gen.Check(bundles[i], c.DNSNames, now).NotAfter
		}
		all = append(all, c)
	}
	return all
}
