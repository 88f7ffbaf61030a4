// Package manual runs the commands that the manual shows on a real API server, in the order in which they stand there.
package manual

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/internal/charttest"
	"github.com/volcano-sh/kthena-certgen/internal/markdown"
)

var env *charttest.Environment

func TestMain(m *testing.M) { charttest.Main(m, charttest.Options{CertManager: true}, &env) }

// needs are what a command may need that is not here, behind the word "needs" in the fence of its block. Its syntax is checked.
var needs = []string{"kind", "network", "minutes", "cert-manager as pods", "auto mode", "TLS of the router", "the answers of a corporate PKI"}

// step is a page whose commands are run, or what its reader has done before.
type step struct {
	page string
	// before is a script that the manual does not show, and that leaves what the page begins with.
	before string
	// after looks at what the page's commands have led to.
	after func(t *testing.T, s *shell)
}

// steps are all pages with commands, ordered such that one installation serves as many as it can.
var steps = []step{
	// The namespace is this page's to make.
	{page: "air-gapped.md"},
	{page: "installing.md", before: `
		helm uninstall kthena --namespace kthena-system
		kubectl delete -f manual/secrets.yaml`},

	{page: "README.md", before: install},
	{page: "certificate-management.md"},
	{page: "rotation.md"},
	{page: "controller.md"},
	{page: "monitoring.md"},
	// What auto mode has left stays, so that the page finds the objects of both modes.
	{page: "troubleshooting.md", before: install + " --set global.certManagementMode=cert-manager"},
	{page: "switching-modes.md", before: install + `
		kthena-certgen generate --namespace kthena-system --output-dir mine --ca-cert ca.crt --ca-key ca.key
		kubectl apply -f mine/secrets.yaml
		cp ca.crt your-ca.crt
		cat > values.yaml <<-END
			registry: {controllerManager: {webhook: {tls: {secretName: registry-webhook-certs-manual}}}}
			workload: {controllerManager: {webhook: {tls: {secretName: workload-webhook-certs-manual}}}}
			networking: {kthenaRouter: {webhook: {tls: {secretName: networking-webhook-certs-manual}}}}
		END`, after: everythingIsReady},
}

const install = "helm upgrade --install kthena charts/kthena --namespace kthena-system --create-namespace --wait"

// everythingIsReady requires that the release works after what the page has done to it.
func everythingIsReady(t *testing.T, s *shell) {
	t.Helper()
	awaitEndOfPods(t)
	s.run(t, `
		for name in kthena-registry kthena-workload kthena-router; do
			kubectl rollout status --namespace kthena-system deployment/$name
		done
		kthena-certgen verify --namespace kthena-system`)
}

// awaitEndOfPods waits until pods that are ending have ended, as they have when a reader types: a call that meets one as it closes
// its connections fails, whatever its certificate.
func awaitEndOfPods(t *testing.T) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		pods, err := env.Client.CoreV1().Pods("kthena-system").List(t.Context(), metav1.ListOptions{})
		require.NoError(c, err)
		for _, pod := range pods.Items {
			assert.Nil(c, pod.DeletionTimestamp, "pod %s is still ending", pod.Name)
		}
	}, time.Minute, 50*time.Millisecond)
}

// awaitNextRestart waits until kubectl restarts pods again: it tells restarts apart by the second, and a reader takes longer to
// come to the next one.
func awaitNextRestart(t *testing.T) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		deployments, err := env.Client.AppsV1().Deployments("kthena-system").List(t.Context(), metav1.ListOptions{})
		require.NoError(c, err)
		for _, d := range deployments.Items {
			last := d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"]
			assert.NotEqual(c, time.Now().Format(time.RFC3339), last, "deployment %s was restarted in this second", d.Name)
		}
	}, time.Minute, 50*time.Millisecond)
}

func TestTheCommandsOfTheManual(t *testing.T) {
	letVerifyForwardPorts(t)
	shell := newShell(t)
	for _, s := range steps {
		ok := t.Run(s.page, func(t *testing.T) {
			if s.before != "" {
				shell.run(t, s.before)
			}
			page := read(t, s.page)
			for i, block := range page.Blocks {
				switch need, isElsewhere := strings.CutPrefix(block.Mark, "needs "); {
				case block.Language != "sh":
				case isElsewhere:
					assert.Contains(t, needs, need, page.Position(block.Part))
					shell.check(t, block.Text)
					t.Logf("%s is not run: it needs %s", page.Position(block.Part), need)
				default:
					require.Empty(t, block.Mark, "%s: the mark is unknown", page.Position(block.Part))
					if strings.Contains(block.Text, "verify") || strings.Contains(block.Text, "helm test") {
						awaitEndOfPods(t)
					}
					if strings.Contains(block.Text, "rollout restart") {
						awaitNextRestart(t)
					}
					output := shell.run(t, block.Text)
					if i+1 < len(page.Blocks) && page.Blocks[i+1].Mark == "output" {
						requireOutput(t, page.Blocks[i+1].Text, output)
					}
				}
			}
			if s.after != nil {
				s.after(t, shell)
			}
		})
		if !ok {
			return
		}
	}
}

func TestEveryPageWithCommandsIsRun(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(env.Root, "docs", "*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		name := filepath.Base(path)
		if slices.ContainsFunc(read(t, name).Blocks, func(b markdown.Block) bool { return b.Language == "sh" }) {
			assert.True(t, slices.ContainsFunc(steps, func(s step) bool { return s.page == name }), "%s has commands that nothing runs", name)
		}
	}
}

// read reads a page of the manual.
func read(t *testing.T, name string) markdown.Page {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(env.Root, "docs", name))
	require.NoError(t, err)
	return markdown.Parse("docs/"+name, content)
}

var date = regexp.MustCompile(`\d{4}-\d{2}-\d{2}`)

// requireOutput requires that the lines that the manual shows are those of the output, in their order and maybe with others
// between. Blanks stand for any number of them, a date for any, and three dots for whatever else differs from one time to another.
func requireOutput(t *testing.T, shown, output string) {
	t.Helper()
	rest := strings.Split(output, "\n")
	for line := range strings.Lines(shown) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		for i, word := range words {
			word = date.ReplaceAllLiteralString(regexp.QuoteMeta(word), date.String())
			words[i] = strings.ReplaceAll(word, `\.\.\.`, `.*`)
		}
		pattern := regexp.MustCompile(`^\s*` + strings.Join(words, `\s+`) + `\s*$`)
		i := slices.IndexFunc(rest, pattern.MatchString)
		require.GreaterOrEqual(t, i, 0, "the output lacks, or has earlier, the line %q:\n%s", line, output)
		rest = rest[i+1:]
	}
}
