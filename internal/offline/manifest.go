package offline

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// secrets is the manifest of the Secrets that manual mode mounts.
func secrets(site Site, bundles []gen.Bundle) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(secretsHead + " They hold private keys: keep them out of version control.\n")
	for i, srv := range site.servers() {
		text, err := yaml.Marshal(&core.Secret{
			TypeMeta:   metav1.TypeMeta{APIVersion: core.GroupVersion.String(), Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Namespace: site.Namespace, Name: srv.secret},
			Type:       core.SecretTypeTLS,
			Data:       map[string][]byte{fileCA: bundles[i].CA, core.TLSCertKey: bundles[i].Cert, core.TLSPrivateKeyKey: bundles[i].Key},
		})
		if err != nil {
			return nil, fmt.Errorf("encoding secret %s/%s: %w", site.Namespace, srv.secret, err)
		}
		b.WriteString("---\n")
		b.Write(text)
	}
	return b.Bytes(), nil
}

// values is the chart's values for a site whose API server is to trust cas, PEM.
func values(site Site, cas []byte) ([]byte, error) {
	all := map[string]any{"global": map[string]any{
		"certManagementMode": "manual",
		"clusterDomain":      site.ClusterDomain,
		"webhook":            map[string]any{"caBundle": base64.StdEncoding.EncodeToString(cas)},
	}}
	for _, name := range Subcharts {
		all[name] = map[string]any{"enabled": slices.Contains(site.Subcharts, name)}
	}
	for _, srv := range site.servers() {
		subchart := all[srv.subchart].(map[string]any)
		component, ok := subchart[srv.component].(map[string]any)
		if !ok {
			component = map[string]any{}
			subchart[srv.component] = component
		}
		if srv.router {
			component["tls"] = map[string]any{"enabled": true, "dnsName": site.RouterDNSName, "secretName": srv.secret}
		} else {
			component["webhook"] = map[string]any{"tls": map[string]any{"secretName": srv.secret}}
		}
	}
	text, err := yaml.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("encoding the values: %w", err)
	}
	return slices.Concat([]byte(valuesHead+" with the CA of the Secrets in "+fileSecrets+".\n"), text), nil
}
