package integration

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"
	"time"
)

// certificates are bundles and servers with certificates of every kind.
func certificates() []variant {
	// byRoot is a server's certificate of a root that is changed by edit before.
	byRoot := func(edit func(c *x509.Certificate)) func(*testing.T, *variant) {
		return func(t *testing.T, v *variant) {
			root := newAuthority(t, nil, edit)
			root.sign(t, v, nil)
			v.bundle = root.pem()
		}
	}
	// leaf is a server's certificate that is changed by edit before.
	leaf := func(edit func(c *x509.Certificate)) func(*testing.T, *variant) {
		return func(t *testing.T, v *variant) {
			root := newAuthority(t, nil, nil)
			root.sign(t, v, edit)
			v.bundle = root.pem()
		}
	}
	// below is a server's certificate of a CA below a root. It says what the server sends along, and the bundle.
	below := func(root, inter func(c *x509.Certificate), sent bool, bundle func(root, inter *authority) []byte) func(*testing.T, *variant) {
		return func(t *testing.T, v *variant) {
			top := newAuthority(t, nil, root)
			between := newAuthority(t, top, inter)
			if sent {
				between.sign(t, v, nil, between)
			} else {
				between.sign(t, v, nil)
			}
			v.bundle = bundle(top, between)
		}
	}
	onlyRoot := func(root, _ *authority) []byte { return root.pem() }
	onlyInter := func(_, inter *authority) []byte { return inter.pem() }
	both := func(root, inter *authority) []byte { return slices.Concat(root.pem(), inter.pem()) }
	domain := func(name string) func(c *x509.Certificate) {
		return func(c *x509.Certificate) {
			c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{name, "." + name}
		}
	}
	critical := func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte("x")}}
	}
	return []variant{
		{name: "a root of X.509 version 1", make: func(t *testing.T, v *variant) {
			root := oldAuthority(t)
			root.sign(t, v, nil)
			v.bundle = root.pem()
		}},
		{name: "a root of X.509 version 1 above another CA", make: func(t *testing.T, v *variant) {
			root := oldAuthority(t)
			inter := newAuthority(t, root, nil)
			inter.sign(t, v, nil, inter)
			v.bundle = root.pem()
		}},
		{name: "a root without basic constraints", make: byRoot(func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false })},
		{name: "a root that says that it is no CA", make: byRoot(func(c *x509.Certificate) { c.IsCA = false })},
		{name: "a root whose key must not sign", make: byRoot(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })},
		{name: "a root without a key usage", make: byRoot(func(c *x509.Certificate) { c.KeyUsage = 0 })},
		{
			name: "a root for clients alone",
			make: byRoot(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
		},
		{name: "a root that has expired", make: byRoot(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })},
		{name: "a root of tomorrow", make: byRoot(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour)
		})},
		{name: "a root with an extension that nobody knows", make: byRoot(critical)},
		{name: "a root without a name", make: byRoot(func(c *x509.Certificate) { c.Subject = pkix.Name{} })},
		{name: "a root for the names of clusters", make: byRoot(func(c *x509.Certificate) {
			c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"svc", "cluster.local"}
		})},
		{name: "a root for other names", make: byRoot(domain("example.com"))},
		{name: "a root that excludes the name", make: byRoot(func(c *x509.Certificate) {
			c.PermittedDNSDomainsCritical, c.ExcludedDNSDomains = true, []string{"svc"}
		})},
		{name: "a certificate that has expired", make: leaf(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })},
		{name: "a certificate of tomorrow", make: leaf(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour)
		})},
		{
			name: "a certificate for clients",
			make: leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
		},
		{
			name: "a certificate with a common name alone",
			make: leaf(func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = c.DNSNames[0], nil }),
		},
		{name: "a certificate with a wildcard", make: leaf(func(c *x509.Certificate) {
			for i, name := range c.DNSNames {
				c.DNSNames[i] = "*" + name[len(service):]
			}
		})},
		{name: "a self-signed certificate without the CA flag", make: func(t *testing.T, v *variant) {
			(*authority)(nil).sign(t, v, nil)
			v.bundle = v.cert
		}},
		{name: "a self-signed certificate with the CA flag", make: func(t *testing.T, v *variant) {
			(*authority)(nil).sign(t, v, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
			v.bundle = v.cert
		}},
		{name: "the server's certificate itself, which a CA has signed", make: func(t *testing.T, v *variant) {
			newAuthority(t, nil, nil).sign(t, v, nil)
			v.bundle = v.cert
		}},
		{name: "the certificate of another server", make: func(t *testing.T, v *variant) {
			root := newAuthority(t, nil, nil)
			root.sign(t, v, nil)
			v.bundle = v.cert
			root.sign(t, v, nil)
		}},
		{name: "the server's certificate before its root", make: func(t *testing.T, v *variant) {
			root := newAuthority(t, nil, nil)
			root.sign(t, v, nil)
			v.bundle = slices.Concat(v.cert, root.pem())
		}},
		{name: "a CA in between that is sent", make: below(nil, nil, true, onlyRoot)},
		{name: "a CA in between that is not sent", make: below(nil, nil, false, onlyRoot)},
		{name: "a CA in between that is in the bundle", make: below(nil, nil, false, both)},
		{name: "a CA in between without its root", make: below(nil, nil, true, onlyInter)},
		{
			name: "a CA in between below one that allows none",
			make: below(func(c *x509.Certificate) { c.MaxPathLenZero = true }, nil, true, onlyRoot),
		},
		{
			name: "a CA in between that has expired",
			make: below(nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, true, both),
		},
		{name: "a CA in between for other names", make: below(nil, domain("example.com"), true, both)},
		{
			name: "a root that has expired above a CA that is trusted",
			make: below(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, nil, true, both),
		},
		{name: "two roots of one name", make: func(t *testing.T, v *variant) {
			root := newAuthority(t, nil, nil)
			root.sign(t, v, nil)
			v.bundle = slices.Concat(newAuthority(t, nil, func(c *x509.Certificate) { c.Subject = root.cert.Subject }).pem(), root.pem())
		}},
		{name: "a root and the expired one of its name", make: func(t *testing.T, v *variant) {
			root := newAuthority(t, nil, nil)
			root.sign(t, v, nil)
			old := newAuthority(t, nil, func(c *x509.Certificate) { c.Subject, c.NotAfter = root.cert.Subject, time.Now().Add(-time.Minute) })
			v.bundle = slices.Concat(old.pem(), root.pem())
		}},
	}
}
