package gen_test

import (
	"fmt"
	"log"
	"time"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

var exampleSpec = gen.Spec{
	DNSNames: []string{"hooks.shop.svc"},
	Validity: gen.DefaultValidity,
	Key:      gen.KeySpec{Algorithm: gen.ECDSA},
}

func ExampleGenerate() {
	at := time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	b, err := gen.Generate(exampleSpec, at)
	if err != nil {
		log.Fatal(err)
	}
	found := gen.Check(b, exampleSpec.DNSNames, at)
	fmt.Println(found.Leaf.DNSNames, "signed by", found.Root.Subject.CommonName)
	fmt.Println("good:", found.OK(), "until", found.NotAfter.Format(time.DateOnly))
	// Output:
	// [hooks.shop.svc] signed by kthena-certgen CA
	// good: true until 2036-11-21
}

// What is wrong with a stored certificate, each fault with its code.
func ExampleCheck() {
	at := time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	b, err := gen.Generate(exampleSpec, at)
	if err != nil {
		log.Fatal(err)
	}
	later := at.Add(11 * 365 * 24 * time.Hour)
	for _, fault := range gen.Check(b, []string{"hooks.shop.svc", "hooks.market.svc"}, later).Faults {
		fmt.Println(fault)
	}
	// Output:
	// dns-names: the certificate is not for hooks.market.svc: it is for hooks.shop.svc
	// expired: the certificate expired on 2036-11-21T08:30:00Z
}

// A rotation: who trusts the new set goes on trusting a server that still has the old certificate.
func ExampleBundle_Trusting() {
	at := time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	old, err := gen.Generate(exampleSpec, at)
	if err != nil {
		log.Fatal(err)
	}
	later := at.Add(7 * 365 * 24 * time.Hour)
	renewed, err := gen.Generate(exampleSpec, later)
	if err != nil {
		log.Fatal(err)
	}
	renewed = renewed.Trusting(gen.Check(old, nil, later).CAs, later)

	stillServed := gen.Bundle{CA: renewed.CA, Cert: old.Cert, Key: old.Key}
	fmt.Println("the new certificate:", gen.Check(renewed, exampleSpec.DNSNames, later).OK())
	fmt.Println("the old one:", gen.Check(stillServed, exampleSpec.DNSNames, later).OK())
	// Output:
	// the new certificate: true
	// the old one: true
}
