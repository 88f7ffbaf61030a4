package verify

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
)

// ANSI codes, see ECMA-48, section 8.3.117.
const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	green  = "\x1b[32m"
	reset  = "\x1b[0m"
)

// Table is the report for people: one line for each webhook and the router, then each finding in two, what and how to
// repair it.
func (r Report) Table(colour bool) []byte {
	var b bytes.Buffer
	paint := func(text, code string) string {
		if !colour {
			return text
		}
		return code + text + reset
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WEBHOOK\tSERVICE\tREADY\tTRUSTED UNTIL\tSECRET\tMADE BY\tADMISSION")
	byName := map[string]Server{}
	called := map[string]bool{}
	for _, s := range r.Servers {
		byName[s.Name] = s
	}
	for _, e := range r.Webhooks {
		s := byName[e.Server]
		called[s.Name] = true
		until := "-"
		if e.NotAfter != nil {
			until = e.NotAfter.UTC().Format("2006-01-02")
		}
		row(w, e.Name, s, until, string(e.Admission))
	}
	for _, s := range r.Servers {
		if called[s.Name] {
			continue
		}
		until := "-"
		if s.NotAfter != nil {
			until = s.NotAfter.UTC().Format("2006-01-02")
		}
		row(w, "(router)", s, until, "-")
	}
	_ = w.Flush() // into memory
	for _, f := range r.Findings {
		code := yellow
		if f.Severity == Broken {
			code = red
		}
		fmt.Fprintf(&b, "\n%s %s: %s: %s\n  %s\n", paint(string(f.Severity), code), f.Code, f.Object, f.Message, f.Remedy)
	}
	summary := map[Verdict]string{
		VerdictOK:         paint("ok", green) + ": every certificate is trusted, and none expires soon",
		VerdictIncomplete: paint("incomplete", yellow) + ": nothing is wrong with what could be seen",
		VerdictExpiring:   paint("expiring", yellow) + ": every certificate is trusted, and one expires soon",
		VerdictBroken:     paint("broken", red),
	}[r.Verdict]
	if len(r.MissingRights) > 0 {
		summary += "; not all could be seen: " + strings.Join(r.MissingRights, ", ")
	}
	fmt.Fprintf(&b, "\nRelease %s in namespace %s, mode %s: %s\n", r.Release, r.Namespace, orDash(r.Mode), summary)
	return b.Bytes()
}

func row(w *tabwriter.Writer, name string, s Server, until, admission string) {
	fmt.Fprintln(
		w,
		strings.Join(
			[]string{name, s.Name, strconv.Itoa(len(s.Endpoints)), until, orDash(s.Secret.Name), orDash(s.Secret.Origin), admission}, "\t",
		),
	)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
