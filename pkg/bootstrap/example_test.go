package bootstrap_test

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/volcano-sh/kthena-certgen/pkg/bootstrap"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// The API is one in memory here, with a webhook configuration of two entries. What the pass did has the form that kthena-certgen prints.
func ExamplePass() {
	api := newMemory()
	clock := func() time.Time { return time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC) }
	pass := &bootstrap.Pass{
		Secret: &secret.Store{Client: secrets{api, free}, Namespace: "shop", Name: "hooks-certs", Now: clock},
		Want: secret.Want{Spec: gen.Spec{
			DNSNames: []string{"hooks.shop.svc"}, Validity: gen.DefaultValidity, Key: gen.KeySpec{Algorithm: gen.ECDSA},
		}},
		Configurations: []*webhook.Configuration{{API: configurations{api, free}, Kind: webhook.Validating, Name: "hooks", Now: clock}},
		Now:            clock,
	}
	did, err := pass.Run(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	did.CAFingerprint = "" // another one each time
	printed := json.NewEncoder(os.Stdout)
	printed.SetIndent("", "  ")
	if err := printed.Encode(did); err != nil {
		log.Fatal(err)
	}
	// Output:
	// {
	//   "secret": "shop/hooks-certs",
	//   "outcome": "created",
	//   "reason": "created",
	//   "cas": 1,
	//   "notAfter": "2036-11-21T08:30:00Z",
	//   "webhookConfigurations": [
	//     {
	//       "kind": "ValidatingWebhookConfiguration",
	//       "name": "hooks",
	//       "entries": 2,
	//       "patched": true
	//     }
	//   ],
	//   "files": "none"
	// }
}
