package verify

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Schema names the form of a Report. Fields may be added to it; what is there keeps its name and meaning.
const Schema = "kthena-certgen/verify/v1"

// Modes of certificate management, as the chart names them.
const (
	Auto        = "auto"
	CertManager = "cert-manager"
	Manual      = "manual"
)

// Verdict is what a report comes to.
type Verdict string

// The verdicts.
const (
	VerdictOK         Verdict = "ok"
	VerdictIncomplete Verdict = "incomplete" // nothing is wrong with what was seen, and rights were missing to see the rest
	VerdictExpiring   Verdict = "expiring"
	VerdictBroken     Verdict = "broken"
)

// Report is all that was found. Its JSON form is stable.
type Report struct {
	// Schema is the constant of that name.
	Schema    string `json:"schema"`
	Release   string `json:"release"`
	Namespace string `json:"namespace"`
	// Time is that of the API server, by which certificates are judged.
	Time time.Time `json:"time"`
	// Mode is where the certificates come from, as far as the release shows it: auto, cert-manager or manual.
	Mode    string  `json:"mode,omitempty"`
	Verdict Verdict `json:"verdict"`
	// Webhooks are the entries of the release's webhook configurations.
	Webhooks []Webhook `json:"webhooks"`
	// Servers are the TLS servers behind them, and the router's where it serves TLS.
	Servers []Server `json:"servers"`
	// Findings are what is wrong or worth knowing, the gravest first. None: all is well.
	Findings []Finding `json:"findings"`
	// MissingRights are requests that the API server forbade. The report says nothing about what they would have shown.
	MissingRights []string `json:"missingRights,omitempty"`
}

// Webhook is one entry of a webhook configuration.
type Webhook struct {
	// Kind and Configuration are those of the object that holds the entry.
	Kind          string `json:"kind"`
	Configuration string `json:"configuration"`
	// Name is the entry's.
	Name string `json:"name"`
	// Server is the name of the server that is called, one of Report.Servers.
	Server        string `json:"server"`
	FailurePolicy string `json:"failurePolicy"`
	// CAs are the certificates of the caBundle.
	CAs []Certificate `json:"cas"`
	// BundleManagers are the field managers that own the caBundle.
	BundleManagers []string `json:"bundleManagers,omitempty"`
	// NotAfter is until when the API server trusts every ready endpoint, as things are.
	NotAfter *time.Time `json:"notAfter,omitempty"`
	// Admission is what a dry-run create showed.
	Admission Admission `json:"admission"`
}

// Admission is what the API server's call to a webhook came to.
type Admission string

// The outcomes of a call.
const (
	// Answered: the webhook admitted an object, or refused one that it need not refuse.
	Answered Admission = "answered"
	// AnsweredBoth: it admitted the valid object and refused the invalid one.
	AnsweredBoth Admission = "admits and refuses"
	// Failed: it could not be called.
	Failed Admission = "failed"
	// NotAsked: something else decided before it was called, or nothing shows whether it was.
	NotAsked Admission = "not asked"
)

// Server is what serves TLS behind one Service.
type Server struct {
	// Name is that of the Service.
	Name string `json:"name"`
	// Deployment is the name of the component that runs the pods.
	Deployment string `json:"deployment"`
	// Port is the Service's.
	Port int `json:"port"`
	// Endpoints are the ready ones.
	Endpoints []Endpoint `json:"endpoints"`
	// NotAfter is until when clients that trust the CA of its Secret trust every ready endpoint; the router's alone.
	NotAfter *time.Time `json:"notAfter,omitempty"`
	Secret   Secret     `json:"secret"`
}

// Endpoint is a ready pod of a server.
type Endpoint struct {
	Pod     string `json:"pod,omitempty"`
	Address string `json:"address"`
	Port    int    `json:"port"`
	// Certificate is what is served there, nil when it could not be seen.
	Certificate *Certificate `json:"certificate,omitempty"`
}

// Certificate is what is said of a certificate.
type Certificate struct {
	// Fingerprint is the SHA-256 hash of its DER form, see gen.Fingerprint.
	Fingerprint string    `json:"fingerprint"`
	NotAfter    time.Time `json:"notAfter"`
}

// Secret is where a server's certificate comes from.
type Secret struct {
	// Name is empty when the pods' template does not tell it.
	Name string `json:"name,omitempty"`
	// Origin is who made it: kthena-certgen, cert-manager or user; empty when there is none.
	Origin string `json:"origin,omitempty"`
	// Managers are the field managers that have written it.
	Managers []string `json:"managers,omitempty"`
	// Certificate is what it holds, nil when that cannot be read.
	Certificate *Certificate `json:"certificate,omitempty"`
}

// Finding is one thing that is wrong or worth knowing.
type Finding struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	// Object is what it is about, such as "Secret kthena-system/registry-webhook-certs-auto".
	Object string `json:"object"`
	// Message says what was found, in one sentence.
	Message string `json:"message"`
	// Remedy is the command that repairs it, or shows more.
	Remedy string `json:"remedy"`
}

// String is the finding as one line.
func (f Finding) String() string {
	return string(f.Code) + ": " + f.Object + ": " + f.Message + "; " + f.Remedy
}

// finish orders the findings and gives the verdict.
func (r *Report) finish() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(
			slices.Index(severities, a.Severity)-slices.Index(severities, b.Severity),
			order(a.Code)-order(b.Code),
			strings.Compare(a.Object, b.Object),
			strings.Compare(a.Message, b.Message),
		)
	})
	slices.Sort(r.MissingRights)
	r.MissingRights = slices.Compact(r.MissingRights)
	r.Verdict = VerdictOK
	if len(r.MissingRights) > 0 {
		r.Verdict = VerdictIncomplete
	}
	if len(r.Findings) == 0 {
		return
	}
	switch r.Findings[0].Severity {
	case Broken:
		r.Verdict = VerdictBroken
	case Expiring:
		r.Verdict = VerdictExpiring
	}
}

func order(c Code) int {
	return slices.IndexFunc(Codes, func(d Description) bool { return d.Code == c })
}
