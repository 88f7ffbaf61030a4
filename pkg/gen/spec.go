package gen

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// DefaultValidity is ten years of 365 days.
	DefaultValidity = 10 * 365 * 24 * time.Hour
	// MinValidity is the shortest life a certificate may be asked for.
	MinValidity = time.Hour
	// MinLife is the shortest time from a certificate's making to its renewal.
	MinLife = 30 * time.Second
	// MaxValidity keeps dates within four-digit years, the limit of RFC 5280, section 4.1.2.5, for any plausible clock.
	MaxValidity = 100 * 365 * 24 * time.Hour
)

// Spec says which certificate is wanted.
type Spec struct {
	// DNSNames are the names the server is called by, without wildcards. At least one.
	DNSNames []string
	// Validity is the life of the CA and the leaf, from MinValidity to MaxValidity.
	Validity time.Duration
	// Key is the kind of key of both.
	Key KeySpec
}

// Validate reports the first thing that is wrong with s. Its errors name neither flags nor files, since s has several
// origins.
func (s Spec) Validate() error {
	if len(s.DNSNames) == 0 {
		return errors.New("at least one DNS name is needed")
	}
	for _, name := range s.DNSNames {
		if err := ValidateDNSName(name); err != nil {
			return err
		}
	}
	if s.Validity < MinValidity || s.Validity > MaxValidity {
		return fmt.Errorf("a validity of %s is not allowed: use %s to %s", s.Validity, short(MinValidity), short(MaxValidity))
	}
	return s.Key.Validate()
}

// RenewBefore is how much of the validity may be left before a certificate of s is renewed: wanted when it is positive,
// else a third of the validity.
func (s Spec) RenewBefore(wanted time.Duration) time.Duration {
	if wanted > 0 {
		return wanted
	}
	return s.Validity / 3
}

// MaxRenewBefore is the most that may be wanted of RenewBefore: MinLife less than the validity. A renewal makes a CA, and each stays
// trusted until it ends or is retired, so renewals must not follow on each other's heels.
func (s Spec) MaxRenewBefore() time.Duration { return s.Validity - MinLife }

// ValidateDNSName reports whether name is a host name in the form of RFC 1123: lower-case labels of at most 63
// characters, 253 in all, no wildcard and no dot at the end.
func ValidateDNSName(name string) error {
	if name == "" {
		return errors.New("a DNS name must not be empty")
	}
	if len(name) > 253 {
		return fmt.Errorf("DNS name %q has %d characters: at most 253 are allowed", name, len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isDNSLabel(label) {
			return fmt.Errorf("DNS name %q is malformed: want labels of 1 to 63 lower-case letters, digits and inner hyphens, joined by dots", name)
		}
	}
	return nil
}

func isDNSLabel(label string) bool {
	const inner = "abcdefghijklmnopqrstuvwxyz0123456789-"
	return label != "" && len(label) <= 63 && strings.Trim(label, inner) == "" && label[0] != '-' && label[len(label)-1] != '-'
}

// Key algorithms, spelled as cert-manager's Certificate spells them.
const (
	ECDSA   = "ECDSA"
	RSA     = "RSA"
	Ed25519 = "Ed25519"
)

// Algorithms lists the key algorithms, the default first.
var Algorithms = []string{ECDSA, RSA, Ed25519}

// sizes lists the key sizes of each algorithm in bits, the default first. Ed25519 has one size only, written as 0.
var sizes = map[string][]int{
	ECDSA:   {256, 384},
	RSA:     {2048, 3072, 4096},
	Ed25519: {0},
}

// KeySpec is a kind of private key.
type KeySpec struct {
	// Algorithm is one of Algorithms.
	Algorithm string
	// Size is in bits; 0 is the algorithm's default.
	Size int
}

// Validate reports an unknown algorithm, or a size that the algorithm does not have.
func (k KeySpec) Validate() error {
	allowed, ok := sizes[k.Algorithm]
	if !ok {
		return fmt.Errorf("key algorithm %q is unknown: use %s", k.Algorithm, strings.Join(Algorithms, ", "))
	}
	if k.Size != 0 && !slices.Contains(allowed, k.Size) {
		if k.Algorithm == Ed25519 {
			return fmt.Errorf("key size %d is not allowed: Ed25519 keys have no size, use 0", k.Size)
		}
		use := strings.ReplaceAll(strings.Trim(fmt.Sprint(allowed), "[]"), " ", ", ")
		return fmt.Errorf("key size %d is not allowed for %s: use %s", k.Size, k.Algorithm, use)
	}
	return nil
}

func (k KeySpec) generate() (crypto.Signer, error) {
	size := k.Size
	if size == 0 {
		size = sizes[k.Algorithm][0]
	}
	switch k.Algorithm {
	case RSA:
		return rsa.GenerateKey(rand.Reader, size)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		curve := elliptic.P256()
		if size == 384 {
			curve = elliptic.P384()
		}
		return ecdsa.GenerateKey(curve, rand.Reader)
	}
}

// leafUsage is the key usage of a server certificate with such a key. TLS up to 1.2 may encrypt to an RSA key, other
// keys only sign (RFC 5246, section 7.4.2).
func (k KeySpec) leafUsage() x509.KeyUsage {
	if k.Algorithm == RSA {
		return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	}
	return x509.KeyUsageDigitalSignature
}

// short prints whole hours as "1h", where time.Duration says "1h0m0s".
func short(d time.Duration) string {
	return fmt.Sprintf("%dh", int64(d/time.Hour))
}
