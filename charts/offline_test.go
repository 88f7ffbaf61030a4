package charts

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/internal/offline"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// What is generated offline has the chart's names: those that auto mode asks for, and those that manual mode mounts.
func TestWhatIsGeneratedOfflineIsWhatTheChartMounts(t *testing.T) {
	const routerTLS = "{global: {clusterDomain: k8s.example.com}, networking: {kthenaRouter: {tls: {enabled: true, dnsName: " +
		"models.example.com}}}}"
	everything := offline.Site{
		Namespace: namespace, Subcharts: offline.Subcharts, ClusterDomain: "k8s.example.com", RouterDNSName: "models.example.com",
	}
	for name, tc := range map[string]struct {
		site offline.Site
		auto string // the values that say the same in auto mode
	}{
		"for everything":             {everything, routerTLS},
		"without TLS for the router": {offline.Site{Namespace: namespace, Subcharts: offline.Subcharts, ClusterDomain: "cluster.local"}, "{}"},
		"for one subchart": {
			offline.Site{Namespace: namespace, Subcharts: []string{"workload"}, ClusterDomain: "cluster.local"},
			"{registry: {enabled: false}, networking: {enabled: false}}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			spec := gen.Spec{Validity: time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}
			authority, err := gen.NewAuthority(spec, time.Now())
			require.NoError(t, err)
			dir := filepath.Join(t.TempDir(), "out")
			_, err = offline.Generate(dir, tc.site, authority, spec, false, time.Now())
			require.NoError(t, err)
			values, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
			require.NoError(t, err)
			manifest, err := os.ReadFile(filepath.Join(dir, "secrets.yaml"))
			require.NoError(t, err)

			generated := map[string][]string{}
			for _, text := range strings.Split(string(manifest), "---\n")[1:] {
				var s corev1.Secret
				require.NoError(t, yaml.Unmarshal([]byte(text), &s))
				certs, _ := gen.ParseCertificates(s.Data[corev1.TLSCertKey])
				generated[s.Name] = certs[0].DNSNames
			}
			assert.Equal(t, askedFor(t, tc.auto), generated)

			ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
			require.NoError(t, err)
			objects := render(t, string(values))
			var mounted []string
			for _, d := range components(objects) {
				for _, v := range d.Spec.Template.Spec.Volumes {
					if v.Secret != nil {
						mounted = append(mounted, v.Secret.SecretName)
					}
				}
			}
			assert.ElementsMatch(t, mounted, slices.Collect(maps.Keys(generated)))
			require.NotEmpty(t, entries(objects))
			for _, e := range entries(objects) {
				assert.Equal(t, string(ca), string(e.webhook.ClientConfig.CABundle), e.webhook.Name)
			}
		})
	}
}

// askedFor are the DNS names that auto mode asks for, by the names that the Secrets have in manual mode.
func askedFor(t *testing.T, values string) map[string][]string {
	t.Helper()
	asked := map[string][]string{}
	for _, d := range all[*appsv1.Deployment](render(t, values)) {
		for _, c := range d.Spec.Template.Spec.InitContainers {
			var secret string
			var names []string
			for _, arg := range c.Args {
				if name, ok := cutFlag(arg, "--secret-name"); ok {
					secret = strings.TrimSuffix(name, "-auto") + "-manual"
				}
				if name, ok := cutFlag(arg, "--dns-name"); ok {
					names = append(names, name)
				}
			}
			asked[secret] = names
		}
	}
	return asked
}
