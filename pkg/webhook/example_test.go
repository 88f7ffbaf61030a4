package webhook_test

import (
	"context"
	"fmt"
	"log"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// A program in a cluster makes its clientset with kubernetes.NewForConfig.
func ExampleConfiguration_Trust() {
	clients := fake.NewClientset(&admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "hooks"},
		Webhooks:   []admissionv1.ValidatingWebhook{{Name: "orders.shop.example"}, {Name: "offers.shop.example"}},
	})
	spec := gen.Spec{DNSNames: []string{"hooks.shop.svc"}, Validity: gen.DefaultValidity, Key: gen.KeySpec{Algorithm: gen.ECDSA}}
	b, err := gen.Generate(spec, time.Now())
	if err != nil {
		log.Fatal(err)
	}
	set, _ := gen.ParseCertificates(b.CA)

	hooks := &webhook.Configuration{
		API:          webhook.ValidatingAPI(clients.AdmissionregistrationV1().ValidatingWebhookConfigurations()),
		Kind:         webhook.Validating,
		Name:         "hooks",
		FieldManager: "example",
	}
	for range 2 {
		did, err := hooks.Trust(context.Background(), set)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s has %d entries, patched: %t\n", did.Name, did.Entries, did.Patched)
	}
	// Output:
	// hooks has 2 entries, patched: true
	// hooks has 2 entries, patched: false
}
