package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// left is what a run left behind, or several at once.
type left struct {
	// secret is the data of the Secret.
	secret map[string][]byte
	// bundles are the CA bundles of the entries of both configurations.
	bundles [][]byte
	// dirs are the folders for files, one of each run.
	dirs []string
}

// check reports what is not as it must be after a bootstrap: a Secret whose certificate its CA has signed for the DNS
// name, that CA in every entry, and the Secret's data in the files. Of a contender that does less, the rest.
func (c contender) check(l left, dns string) error {
	for _, key := range []string{c.CAKey, c.CertKey, c.KeyKey} {
		if len(l.secret[key]) == 0 {
			return fmt.Errorf("the Secret has no %s, but %s", key, strings.Join(slices.Sorted(maps.Keys(l.secret)), ", "))
		}
	}
	ca := l.secret[c.CAKey]
	pair, err := tls.X509KeyPair(l.secret[c.CertKey], l.secret[c.KeyKey])
	if err != nil {
		return fmt.Errorf("reading the key pair in the Secret: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: dns}); err != nil {
		return fmt.Errorf("verifying the certificate in the Secret: %w", err)
	}
	if want := 2 * len(entries); len(l.bundles) != want {
		return fmt.Errorf("the configurations have %d entries instead of %d", len(l.bundles), want)
	}
	for i, bundle := range l.bundles {
		switch {
		case c.SecretOnly && len(bundle) > 0:
			return fmt.Errorf("the CA bundle of entry %d is filled, by a contender that is secretOnly", i)
		case !c.SecretOnly && !bytes.Equal(bundle, ca):
			return fmt.Errorf("the CA bundle of entry %d is not the Secret's CA", i)
		}
	}
	if !c.writesFiles() {
		return nil
	}
	for _, dir := range l.dirs {
		for file, want := range l.secret {
			if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !bytes.Equal(got, want) {
				return errors.Join(fmt.Errorf("the file %s does not hold what the Secret holds", file), err)
			}
		}
	}
	return nil
}
