package verify

import "slices"

// Severity says what a finding means for the release. The values are stable.
type Severity string

// The severities, the gravest first. Only the first two change the verdict.
const (
	// Broken: admission requests or router connections fail, or will when a pod starts.
	Broken Severity = "broken"
	// Expiring: a certificate in use ends soon.
	Expiring Severity = "expiring"
	// Notice: worth knowing; nothing fails.
	Notice Severity = "notice"
)

var severities = []Severity{Broken, Expiring, Notice}

// Code names a kind of finding. The values are stable: scripts and the manual refer to them.
type Code string

// The codes. What they mean is in Codes.
const (
	BundleMissing       Code = "bundle-missing"
	BundleMalformed     Code = "bundle-malformed"
	BundleExpired       Code = "bundle-expired"
	ServiceMissing      Code = "service-missing"
	ServicePort         Code = "service-port"
	NoEndpoints         Code = "no-endpoints"
	EndpointUnreachable Code = "endpoint-unreachable"
	NotTLS              Code = "not-tls"
	Untrusted           Code = "untrusted"
	WrongName           Code = "wrong-name"
	Expired             Code = "expired"
	NotYetValid         Code = "not-yet-valid"
	Unusable            Code = "unusable"
	DeploymentMissing   Code = "deployment-missing"
	SecretMissing       Code = "secret-missing"
	SecretTerminating   Code = "secret-terminating"
	SecretInvalid       Code = "secret-invalid"
	SecretUntrusted     Code = "secret-untrusted"
	CertificateNotReady Code = "certificate-not-ready"
	CallFailed          Code = "call-failed"
	NotEnforced         Code = "not-enforced"
	KindMissing         Code = "kind-missing"
	ExpiresSoon         Code = "expires-soon"
	CAExpired           Code = "ca-expired"
	BundleOdd           Code = "bundle-odd"
	SecretForeign       Code = "secret-foreign"
	Stale               Code = "stale"
	NotRefused          Code = "not-refused"
	Unknown             Code = "unknown"
	ControllerDown      Code = "controller-down"
	ClockSkew           Code = "clock-skew"
)

// Description is what a code means, for the manual.
type Description struct {
	Code     Code
	Severity Severity
	// Meaning is what was found, as one sentence.
	Meaning string
	// Remedy is what to do in general. A finding holds the command for its own case.
	Remedy string
}

// Codes describes every code, the gravest first.
var Codes = []Description{
	{
		BundleMissing, Broken, "A webhook entry has no caBundle, so the API server trusts no certificate of Kthena's.",
		"auto: the controller puts it back, or restart the Deployment; cert-manager: restart its CA injector; manual: set " +
			"global.webhook.caBundle",
	},
	{BundleMalformed, Broken, "A caBundle holds no certificate that can be read.", "as for bundle-missing"},
	{BundleExpired, Broken, "Every CA of a caBundle has expired.", "as for bundle-missing"},
	{ServiceMissing, Broken, "The Service that a webhook entry names does not exist.", "helm upgrade"},
	{ServicePort, Broken, "The Service lacks the port that a webhook entry names.", "helm upgrade"},
	{NoEndpoints, Broken, "No pod behind the Service is ready.", "look at the pods' events and at the log of their init container"},
	{
		EndpointUnreachable, Broken, "A ready pod does not accept a connection on the port of the Service.",
		"look at the pod's log, at the Service's targetPort and at network policies",
	},
	{NotTLS, Broken, "What answers on the port does not speak TLS.", "look at the pod's log and at the Service's targetPort"},
	{
		Untrusted, Broken, "The certificate that is served was signed by no CA that is trusted.",
		"a single pod: delete it; all of them: as for bundle-missing",
	},
	{
		WrongName, Broken, "The certificate that is served is for other DNS names than the one it is called by.",
		"check global.clusterDomain and the namespace, have the certificate made anew, restart the Deployment",
	},
	{
		Expired, Broken, "The certificate that is served, or a CA that it leads to, has expired.", "have it renewed, then restart the Deployment",
	},
	{
		NotYetValid, Broken, "The certificate that is served is not valid yet.",
		"correct the clock of the machine that made it, then restart the Deployment",
	},
	{
		Unusable, Broken, "The certificate that is served cannot be used for another reason, which the finding gives.",
		"have it made anew, then restart the Deployment",
	},
	{DeploymentMissing, Broken, "The Deployment of a component does not exist.", "helm upgrade"},
	{
		SecretMissing, Broken,
		"The Secret that the pods get their certificate from does not exist: a pod that starts has none, or makes a new one.",
		"auto: restart the Deployment; cert-manager: look at the Certificate; manual: create it",
	},
	{
		SecretTerminating, Broken,
		"The Secret is being deleted, and finalizers hold it: in auto mode no pod starts, in the others none does once it is gone.",
		"let those who have set the finalizers finish, or remove them",
	},
	{
		SecretInvalid, Broken, "The certificate in the Secret cannot be used, for the reason that the finding gives.",
		"auto: restart the Deployment, which repairs it; cert-manager: delete the Secret, which issues it anew; manual: replace it",
	},
	{
		SecretUntrusted, Broken, "The certificate in the Secret was signed by no CA of the caBundle: pods that start will not be trusted.",
		"manual: put its CA into global.webhook.caBundle; cert-manager: restart its CA injector",
	},
	{CertificateNotReady, Broken, "cert-manager cannot issue a certificate.", "kubectl describe certificate"},
	{
		CallFailed, Broken, "The API server could not call the webhook, or could not read its answer.",
		"look at the pod's log, at network policies and at the webhook's timeout",
	},
	{
		NotEnforced, Broken,
		"The API server admitted an object that the webhook must refuse, and the entry ignores failures (failurePolicy Ignore).",
		"look at the pod's log",
	},
	{KindMissing, Broken, "The API server lacks the kind that the webhook is for.", "install Kthena's CRDs"},
	{
		ExpiresSoon, Expiring, "A certificate in use ends within --warn-within.",
		"auto: delete the Secret, restart the Deployment; cert-manager: look at the Certificate, restart the Deployment; manual: replace it",
	},
	{
		CAExpired, Notice, "A CA of a caBundle has expired while others are valid; it does no harm.",
		"nothing: auto mode drops it when it adds one",
	},
	{
		BundleOdd, Notice, "A caBundle holds something that cannot be read beside certificates that can; the API server ignores it.",
		"nothing, or take out of the bundle what is no certificate: auto: kubectl edit; manual: set global.webhook.caBundle",
	},
	{
		SecretForeign, Notice, "Auto mode uses a Secret that kthena-certgen did not make: it will not renew it.",
		"renew it yourself, or delete it and restart the Deployment",
	},
	{
		Stale, Notice, "Pods serve another certificate than the Secret holds; it is still trusted.",
		"wait for the controller, or restart the Deployment",
	},
	{NotRefused, Notice, "The webhook admitted an object that Kthena v1.0.0 refuses.", "nothing, if the version of Kthena is another one"},
	{
		Unknown, Notice, "Whether the webhook answers could not be found out, because something else refused the request.",
		"look at what the finding names",
	},
	{
		ControllerDown, Notice,
		"The release is to have a controller, and none runs or it does not reconcile: what is renewed is not served and what is lost is not " +
			"healed until it does.",
		"look at the log of Deployment kthena-certgen; its /readyz says what it waits for",
	},
	{
		ClockSkew, Notice, "The clock of this machine and that of the API server differ; certificates were judged by the API server's.",
		"set the clock",
	},
}

// describe is the description of a code, which is one of Codes.
func describe(c Code) Description {
	return Codes[slices.IndexFunc(Codes, func(d Description) bool { return d.Code == c })]
}
