package markdown

import (
	"regexp"
	"strings"
)

var codeSpan = regexp.MustCompile("`([^`]+)`")

// FirstColumn is what the first column of the tables below a heading of a page holds: code spans, or where there are none, the
// text. It is empty where there is no such heading or no table. The heading is as in the source, such as "## Codes".
func FirstColumn(page, heading string) []string {
	_, section, _ := strings.Cut(page, "\n"+heading+"\n")
	level, _, _ := strings.Cut(heading, " ")
	section, _, _ = strings.Cut(section, "\n"+level+" ")
	var cells []string
	inTable := 0 // lines so far, of which two are its head
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "|") {
			inTable = 0
			continue
		}
		if inTable++; inTable <= 2 {
			continue
		}
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		spans := codeSpan.FindAllStringSubmatch(cell, -1)
		if spans == nil {
			cells = append(cells, strings.TrimSpace(cell))
		}
		for _, span := range spans {
			cells = append(cells, span[1])
		}
	}
	return cells
}
