package verify

import (
	"fmt"
	"strings"
)

func (v *Verifier) restartRemedy(deployment string) string {
	return fmt.Sprintf("kubectl rollout restart --namespace %s deployment/%s", v.Namespace, deployment)
}

func (v *Verifier) logsRemedy(deployment string) string {
	return fmt.Sprintf("kubectl logs --namespace %s deployment/%s --all-containers", v.Namespace, deployment)
}

func (v *Verifier) podsRemedy(deployment string) string {
	return fmt.Sprintf("kubectl describe pods --namespace %s --selector %s=%s", v.Namespace, labelComponent, deployment)
}

func (v *Verifier) podRemedy(e Endpoint) string {
	if e.Pod == "" {
		return fmt.Sprintf("kubectl get endpointslices --namespace %s", v.Namespace)
	}
	return fmt.Sprintf("kubectl delete pod --namespace %s %s", v.Namespace, e.Pod)
}

func (v *Verifier) certificateRemedy(name string) string {
	return fmt.Sprintf("kubectl describe certificate --namespace %s %s", v.Namespace, name)
}

func (v *Verifier) upgradeRemedy() string {
	return fmt.Sprintf("helm upgrade %s CHART --namespace %s --reuse-values", v.Release, v.Namespace)
}

func (v *Verifier) finalizersRemedy(secret string) string {
	return fmt.Sprintf(`kubectl patch secret --namespace %s %s --type merge --patch '{"metadata":{"finalizers":null}}'`, v.Namespace, secret)
}

// trustRemedy puts the right CA into a caBundle.
func (v *Verifier) trustRemedy(deployment string) string {
	switch v.report.Mode {
	case Auto:
		return v.restartRemedy(deployment)
	case CertManager:
		return "kubectl rollout restart --namespace cert-manager deployment/cert-manager-cainjector"
	}
	return v.upgradeRemedy() + ` --set global.webhook.caBundle="$(base64 -w0 ca.crt)"`
}

// secretRemedy makes a Secret good.
func (v *Verifier) secretRemedy(s *server) string {
	switch v.report.Mode {
	case Auto:
		if s.stored != nil && s.Secret.Origin != originCertgen {
			return fmt.Sprintf("kubectl delete secret --namespace %s %s && %s", v.Namespace, s.Secret.Name, v.restartRemedy(s.Deployment))
		}
		return v.restartRemedy(s.Deployment)
	case CertManager:
		if s.stored == nil {
			_, name, _ := strings.Cut(s.certificate, "/")
			return v.certificateRemedy(name)
		}
		return fmt.Sprintf("kubectl delete secret --namespace %s %s", v.Namespace, s.Secret.Name)
	}
	create := fmt.Sprintf("kubectl create secret tls --namespace %s %s --cert=tls.crt --key=tls.key", v.Namespace, s.Secret.Name)
	if s.stored == nil {
		return create
	}
	return create + " --dry-run=client --output yaml | kubectl apply --filename -"
}

// renewRemedy replaces a certificate that is served.
func (v *Verifier) renewRemedy(s *server) string {
	switch v.report.Mode {
	case Auto:
		return v.restartRemedy(s.Deployment)
	case CertManager:
		_, name, _ := strings.Cut(s.certificate, "/")
		return v.certificateRemedy(name) + " && " + v.restartRemedy(s.Deployment)
	}
	return v.secretRemedy(s) + " && " + v.restartRemedy(s.Deployment)
}

// replaceRemedy replaces a certificate that is not due for renewal yet.
func (v *Verifier) replaceRemedy(s *server) string {
	if v.report.Mode == Auto && s.stored != nil && s.Secret.Origin == originCertgen {
		// A start renews what is due; without the Secret it makes another one in any case.
		return fmt.Sprintf("kubectl delete secret --namespace %s %s && %s", v.Namespace, s.Secret.Name, v.restartRemedy(s.Deployment))
	}
	return v.renewRemedy(s)
}
