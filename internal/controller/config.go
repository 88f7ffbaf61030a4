package controller

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// Config says what is kept in order. The chart writes it.
type Config struct {
	Release   string `json:"release"`
	Namespace string `json:"namespace"`
	// Mode is where the certificates come from: verify.Auto, verify.CertManager or verify.Manual.
	Mode string `json:"mode"`
	// Roll allows pods to be rolled to a new certificate. Without it, what would be done is told.
	Roll bool `json:"roll"`
	// Settle is for how long every webhook entry must have trusted a certificate before pods are rolled to it.
	Settle metav1.Duration `json:"settle"`
	// RetireAfter is for how long every pod must have served a certificate before the CAs of older ones are no longer
	// trusted; 0 is never. Auto mode alone.
	RetireAfter metav1.Duration `json:"retireAfter"`
	// WarnWithin is the remaining life below which it is told that a certificate ends, or a tenth of its life where that is
	// shorter.
	WarnWithin metav1.Duration `json:"warnWithin"`

	// The certificates that auto mode makes; see the flags of bootstrap.
	Validity    metav1.Duration `json:"validity"`
	RenewBefore metav1.Duration `json:"renewBefore"`
	PrivateKey  PrivateKey      `json:"privateKey"`

	Components []Component `json:"components"`
}

// PrivateKey is the kind of new keys.
type PrivateKey struct {
	Algorithm string `json:"algorithm"`
	Size      int    `json:"size"`
}

// Component is a Deployment whose pods serve certificates.
type Component struct {
	Deployment string `json:"deployment"`
	// Labels and Annotations are those of the Secrets that auto mode makes.
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Certificates []Certificate     `json:"certificates"`
}

// Certificate is one that the pods of a component serve.
type Certificate struct {
	// Service is what leads to the pods, and Port the name of its port.
	Service string `json:"service"`
	Port    string `json:"port"`
	Secret  string `json:"secret"`
	// DNSNames are what the certificate is for.
	DNSNames []string `json:"dnsNames"`
	// Dir is where the Secret's tls.crt and ca.crt are mounted, which is told apart from the file; empty in auto mode.
	Dir string `json:"-"`
	// Mutating and Validating are the webhook configurations whose entries call the Service; none call the router's.
	Mutating   []string `json:"mutating,omitempty"`
	Validating []string `json:"validating,omitempty"`
}

// LoadConfig reads the file and checks it. dirs are where Secrets are mounted, by their names.
func LoadConfig(path string, dirs map[string]string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	c := &Config{}
	if err := yaml.UnmarshalStrict(text, c); err != nil {
		// What is wrong with each of several lines is on a line of its own.
		return nil, fmt.Errorf("reading the configuration %s: %s", path, strings.Join(strings.Fields(err.Error()), " "))
	}
	for _, component := range c.Components {
		for i := range component.Certificates {
			component.Certificates[i].Dir = dirs[component.Certificates[i].Secret]
		}
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("reading the configuration %s: %w", path, err)
	}
	return c, nil
}

func (c *Config) validate() error {
	switch {
	case len(validation.IsDNS1123Label(c.Namespace)) > 0:
		return fmt.Errorf("namespace %q is not a namespace", c.Namespace)
	case !slices.Contains([]string{verify.Auto, verify.CertManager, verify.Manual}, c.Mode):
		return fmt.Errorf("mode %q is unknown: use auto, cert-manager or manual", c.Mode)
	case len(c.Components) == 0:
		return errors.New("components is empty: name at least one")
	}
	for name, d := range map[string]metav1.Duration{"settle": c.Settle, "retireAfter": c.RetireAfter, "warnWithin": c.WarnWithin} {
		if d.Duration < 0 {
			return fmt.Errorf("%s %s is not allowed: use 0s or more", name, d.Duration)
		}
	}
	if c.Mode == verify.Auto && (c.RenewBefore.Duration < 0 || c.RenewBefore.Duration >= c.Validity.Duration) {
		return fmt.Errorf("renewBefore %s is not allowed: use 0s to less than validity (%s)", c.RenewBefore.Duration, c.Validity.Duration)
	}
	deployments, secrets := map[string]bool{}, map[string]bool{}
	for _, component := range c.Components {
		if err := c.validateComponent(component); err != nil {
			return err
		}
		if deployments[component.Deployment] {
			return fmt.Errorf("deployment %s is there twice: name each once", component.Deployment)
		}
		deployments[component.Deployment] = true
		for _, cert := range component.Certificates {
			// Two certificates in one Secret would be made in turns, for ever.
			if secrets[cert.Secret] {
				return fmt.Errorf("secret %s is there twice: give each certificate its own", cert.Secret)
			}
			secrets[cert.Secret] = true
		}
	}
	return nil
}

func (c *Config) validateComponent(component Component) error {
	if len(validation.IsDNS1123Subdomain(component.Deployment)) > 0 {
		return fmt.Errorf("deployment %q is not a name", component.Deployment)
	}
	if len(component.Certificates) == 0 {
		return fmt.Errorf("deployment %s has no certificates: name at least one, or leave it out", component.Deployment)
	}
	for _, cert := range component.Certificates {
		for _, name := range slices.Concat([]string{cert.Service, cert.Secret}, cert.Mutating, cert.Validating) {
			if len(validation.IsDNS1123Subdomain(name)) > 0 {
				return fmt.Errorf("deployment %s: %q is not a name", component.Deployment, name)
			}
		}
		switch {
		case cert.Port == "":
			return fmt.Errorf("deployment %s: service %s has no port: give the name of one", component.Deployment, cert.Service)
		case c.Mode != verify.Auto && cert.Dir == "":
			return fmt.Errorf("secret %s has no folder: say where it is mounted by --certificate-dir", cert.Secret)
		}
		if err := c.spec(cert).Validate(); c.Mode == verify.Auto && err != nil {
			return fmt.Errorf("deployment %s: secret %s: %w", component.Deployment, cert.Secret, err)
		}
	}
	return nil
}

// mounts reports whether certificates are read where the kubelet mounts them, not from the API.
func (c *Config) mounts() bool { return c.Mode != verify.Auto }

// spec is the certificate that auto mode makes.
func (c *Config) spec(cert Certificate) gen.Spec {
	return gen.Spec{
		DNSNames: cert.DNSNames, Validity: c.Validity.Duration,
		Key: gen.KeySpec{Algorithm: c.PrivateKey.Algorithm, Size: c.PrivateKey.Size},
	}
}

// serviceName is the name that the API server calls the Service by.
func (c *Config) serviceName(cert Certificate) string {
	return cert.Service + "." + c.Namespace + ".svc"
}

// warnsWithin is the remaining life below which the end of a certificate with that life is told.
func (c *Config) warnsWithin(life time.Duration) time.Duration {
	return min(c.WarnWithin.Duration, life/10)
}
