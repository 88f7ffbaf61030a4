package plan

import (
	"fmt"
	"strings"
)

// Text is the plan for people. What is to be typed begins with four blanks.
func (p Plan) Text() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "Release %s in namespace %s: from %s to %s\n\n", p.Release, p.Namespace, p.From, p.To)
	for _, part := range []struct {
		title string
		lines []string
	}{{"Found", p.Found}, {"Refused", p.Refused}, {"Worth knowing", p.Notes}} {
		if len(part.lines) == 0 {
			continue
		}
		b.WriteString(part.title + ":\n")
		for _, line := range part.lines {
			b.WriteString("  - " + line + "\n")
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "It costs: %s\n", p.Cost)
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "\n%d. %s\n\n    %s\n", i+1, s.What, strings.ReplaceAll(s.Command, "\n", "\n    "))
	}
	return []byte(b.String())
}
