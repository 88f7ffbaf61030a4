// Package manual runs the commands that the pages, the chart's notes and the program's help show on a real API server, in the order
// in which they stand there. Those of docs/moving-from-kthena.md are run by test/chart, under load.
package manual

import (
	"cmp"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/markdown"
	"github.com/volcano-sh/kthena-certgen/test/rig/reader"
)

var env *charttest.Environment

func TestMain(m *testing.M) { charttest.Main(m, charttest.Options{CertManager: true}, &env) }

// unrun is how many blocks of all pages are not run, by what they need: it stands behind "needs" in the fence. Their syntax is
// checked, and that the targets of make exist.
var unrun = map[string]int{
	"a checkout":           9, // and minutes: make
	"a release":            6, // to be downloaded and verified
	"auto mode":            1, // on a page that is followed in cert-manager mode; another page has the same command
	"cert-manager as pods": 1, // here it runs as a process
	"kind":                 1,
	"network":              9,
}

// elsewhere are pages whose commands another test runs.
var elsewhere = []string{"docs/moving-from-kthena.md"}

// step is a page whose commands are run, or one of its sections, and what its reader has done before.
type step struct {
	page, section string
	// anew is whether the reader begins in an empty folder.
	anew bool
	// before is a script that the manual does not show, and that leaves what the page begins with.
	before string
	// after looks at what the page's commands have led to.
	after func(t *testing.T, r *reader.Reader)
}

// steps are all pages with commands, ordered such that one installation serves as many as it can.
var steps = []step{
	// The namespace is this page's to make.
	{page: "docs/air-gapped.md", after: theNotesAreTrue},
	{page: "docs/installing.md", before: `
		helm uninstall kthena --namespace kthena-system
		kubectl delete -f manual/secrets.yaml`},
	{page: "README.md", after: everythingIsReady},

	{page: "docs/README.md"},
	{page: "docs/certificate-management.md"},
	{page: "docs/rotation.md"},
	{page: "docs/controller.md"},
	{page: "docs/monitoring.md"},
	{page: "docs/cli.md", section: "kthena-certgen-verify", after: theNotesAreTrue},
	{page: "docs/cli.md", section: "kthena-certgen-bootstrap"},
	// What auto mode has left stays, so that the page finds the objects of both modes.
	{page: "docs/troubleshooting.md", before: install + ` --set networking.kthenaRouter.tls.enabled=true
		` + install + ` --set networking.kthenaRouter.tls.enabled=true --set global.certManagementMode=cert-manager`, after: theNotesAreTrue},
	// From auto mode, and without what other modes have left in the bundles.
	{page: "docs/switching-modes.md", before: `
		kubectl delete validatingwebhookconfigurations,mutatingwebhookconfigurations --selector app.kubernetes.io/part-of=kthena
		` + install + ` --reset-values
		kthena-certgen generate --namespace kthena-system --output-dir mine --ca-cert ca.crt --ca-key ca.key
		kubectl apply -f mine/secrets.yaml
		cp ca.crt your-ca.crt
		cat > values.yaml <<-END
			registry: {controllerManager: {webhook: {tls: {secretName: registry-webhook-certs-manual}}}}
			workload: {controllerManager: {webhook: {tls: {secretName: workload-webhook-certs-manual}}}}
			networking: {kthenaRouter: {webhook: {tls: {secretName: networking-webhook-certs-manual}}}}
		END`, after: everythingIsReady},

	{page: "docs/cli.md", section: "kthena-certgen-plan", anew: true, before: install + " --reset-values"},
	{page: "docs/cli.md", section: "kthena-certgen-ca-bundle", anew: true, before: manualFiles, after: everythingIsReady},
	{page: "docs/cli.md", section: "kthena-certgen-release", before: install, after: everythingIsReady},
	{page: "docs/cli.md", section: "kthena-certgen-generate", anew: true, before: `
		helm uninstall kthena --namespace kthena-system --wait
		kubectl delete pods --all --namespace kthena-system --force --grace-period=0
		kubectl delete namespace kthena-system`},

	// Pages all of whose commands need something.
	{page: "CONTRIBUTING.md"}, {page: "SECURITY.md"}, {page: "charts/kthena/README.md"}, {page: "docs/performance.md"}, {
		page: "hack/controlplane/kubernetes/README.md",
	},
}

const (
	install     = "helm upgrade --install kthena charts/kthena --namespace kthena-system --create-namespace --wait"
	manualFiles = `
		kthena-certgen generate --namespace kthena-system --output-dir manual
		kubectl apply --filename manual/secrets.yaml`
)

func TestTheCommandsOfThePages(t *testing.T) {
	letVerifyForwardPorts(t)
	var r *reader.Reader
	for _, s := range steps {
		if r == nil || s.anew {
			r = reader.New(t, env) // not the step's: its folder stays for the next one
			writeOwnCA(t, r.Dir)
		}
		ok := t.Run(cmp.Or(s.section, s.page), func(t *testing.T) {
			if s.before != "" {
				r.Run(t, s.before)
			}
			r.Follow(t, r.Page(t, s.page), s.section, func(block markdown.Block) { prepare(t, r, block) })
			if s.after != nil {
				s.after(t, r)
			}
		})
		if !ok {
			return
		}
	}
}

// prepare does what happens before a block when a reader types: time passes, and others do their part.
func prepare(t *testing.T, r *reader.Reader, block markdown.Block) {
	t.Helper()
	if strings.Contains(block.Text, "verify") || strings.Contains(block.Text, "helm test") {
		awaitEndOfPods(t)
	}
	if strings.Contains(block.Text, "rollout restart") {
		awaitNextRestart(t)
	}
	if strings.Contains(block.Text, "--import") {
		signRequests(t, r.Dir)
	}
}

// noteCommand matches a command in the chart's notes.
var noteCommand = regexp.MustCompile(`(?m)^  ((?:helm|kubectl|kthena-certgen) .*)$`)

// theNotesAreTrue runs the commands that the notes of the release show.
func theNotesAreTrue(t *testing.T, r *reader.Reader) {
	t.Helper()
	awaitEndOfPods(t)
	commands := noteCommand.FindAllStringSubmatch(r.Run(t, "helm get notes kthena --namespace kthena-system"), -1)
	require.GreaterOrEqual(t, len(commands), 4)
	for _, command := range commands {
		if forward := strings.Replace(command[1], " 8080:", " :", 1); forward != command[1] {
			// It runs until somebody ends it, and the port of the reader's machine may be taken on this one.
			r.Run(t, "timeout 3 "+forward+" || test $? = 124")
			continue
		}
		r.Run(t, command[1])
	}
}

// everythingIsReady requires that the release works after what the page has done to it.
func everythingIsReady(t *testing.T, r *reader.Reader) {
	t.Helper()
	r.Run(t, `
		for name in kthena-registry kthena-workload kthena-router; do
			kubectl rollout status --namespace kthena-system deployment/$name
		done`)
	awaitEndOfPods(t)
	r.Run(t, "kthena-certgen verify --namespace kthena-system")
}

// awaitEndOfPods waits until pods that are ending have ended, as they have when a reader types: a call that meets one as it closes
// its connections fails, whatever its certificate.
func awaitEndOfPods(t *testing.T) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		pods, err := env.Client.CoreV1().Pods("kthena-system").List(t.Context(), metav1.ListOptions{})
		require.NoError(c, err)
		for _, pod := range pods.Items {
			if pod.DeletionTimestamp != nil && pod.Labels["app.kubernetes.io/component"] == "kthena-router" {
				// It serves on for five minutes, for the sake of streams that there are none of here.
				now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}
				_ = env.Client.CoreV1().Pods(pod.Namespace).Delete(t.Context(), pod.Name, now) // it may have ended
			}
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
