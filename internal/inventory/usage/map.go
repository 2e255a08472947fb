/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package usage

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/inventory"
)

// Map is the range of NodePorts, port by port.
type Map struct {
	span     allocator.PortSpan
	held     map[int32]int
	reserved map[int32]bool
	claimed  map[int32]bool
	pool     map[int32]rune
	pools    []string // the names, in the order of their letters
}

// MapOf draws what the cluster has.
func MapOf(x *inventory.Index) Map {
	m := Map{span: x.NodePorts.Span, held: map[int32]int{}, pool: map[int32]rune{}}
	for _, n := range x.Used("") {
		m.held[n.Port] = len(x.Numbers.Holders(n))
	}
	reserved, claimed := x.Kept()
	m.reserved, m.claimed = portsOf(reserved), portsOf(claimed)
	for i, view := range x.Numbers.PortPools() {
		letter := letterOf(i)
		m.pools = append(m.pools, view.Name)
		for _, s := range view.Effective {
			for port := max(s.First, m.span.First); port <= min(s.Last, m.span.Last); port++ {
				m.pool[port] = letter
			}
		}
	}
	return m
}

func portsOf(numbers []allocator.Number) map[int32]bool {
	ports := map[int32]bool{}
	for _, n := range numbers {
		if n.IsPort() {
			ports[n.Port] = true
		}
	}
	return ports
}

// letters name pools: those beyond share the last one.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+"

func letterOf(i int) rune { return rune(letters[min(i, len(letters)-1)]) }

// signs are what a character of the map can be: nothing held, and four degrees
// of it, then only reserved ones, only claimed ones, and one held twice.
type signs struct{ free, few, some, most, all, reserved, claimed, twice rune }

var (
	blocks = signs{'·', '░', '▒', '▓', '█', 'r', 'c', '!'}
	ascii  = signs{'.', '-', '=', '*', '#', 'r', 'c', '!'}
)

const (
	narrowest = 40 // columns, at least
	mostRows  = 16 // rows, where a character may stand for more ports
	// labelWidth is that of "30000 " before each row.
	labelWidth = 7
)

// Draw is the map in lines of at most width columns, with a legend. A character
// stands for one port or several; a letter below it for the pool of its first.
func (m Map) Draw(width int, plain bool) string {
	s := blocks
	if plain {
		s = ascii
	}
	columns := (max(width, narrowest) - labelWidth) &^ 7 // rows that begin at round numbers are easier to read
	ports := int(m.span.Last-m.span.First) + 1
	each := 1
	for (ports+each*columns-1)/(each*columns) > mostRows {
		each *= 2
	}
	var b strings.Builder
	fmt.Fprintf(&b, "NodePorts %s, %s\n", m.span, perCharacter(each))
	for row := m.span.First; row <= m.span.Last; row += int32(each * columns) {
		m.drawRow(&b, row, columns, int32(each), s)
	}
	m.legend(&b, s, max(width, narrowest))
	return b.String()
}

func perCharacter(each int) string {
	if each == 1 {
		return "one a character"
	}
	return fmt.Sprintf("%d a character", each)
}

func (m Map) drawRow(b *strings.Builder, row int32, columns int, each int32, s signs) {
	var numbers, pools strings.Builder
	pooled := false
	for first := row; first <= m.span.Last && first < row+int32(columns)*each; first += each {
		last := min(first+each-1, m.span.Last)
		numbers.WriteRune(m.sign(first, last, s))
		letter := m.pool[first]
		for port := first; port <= last && letter == 0; port++ {
			letter = m.pool[port]
		}
		pooled = pooled || letter != 0
		if letter == 0 {
			letter = ' '
		}
		pools.WriteRune(letter)
	}
	fmt.Fprintf(b, "%5d  %s\n", row, numbers.String())
	if pooled {
		fmt.Fprintf(b, "%*s%s\n", labelWidth, "", strings.TrimRight(pools.String(), " "))
	}
}

// sign is one character for the ports from first to last.
func (m Map) sign(first, last int32, s signs) rune {
	held, reserved, claimed := 0, 0, 0
	for port := first; port <= last; port++ {
		switch {
		case m.held[port] > 1:
			return s.twice
		case m.held[port] == 1:
			held++
		case m.reserved[port]:
			reserved++
		case m.claimed[port]:
			claimed++
		}
	}
	switch total := int(last-first) + 1; {
	case held == total:
		return s.all
	case held == 0 && reserved > 0:
		return s.reserved
	case held == 0 && claimed > 0:
		return s.claimed
	case held == 0:
		return s.free
	case held*3 <= total:
		return s.few
	case held*3 <= 2*total:
		return s.some
	default:
		return s.most
	}
}

// legend has the signs, then the pools, in lines that fit.
func (m Map) legend(b *strings.Builder, s signs, width int) {
	entries := []string{
		string(s.free) + " free", string([]rune{s.few, s.some, s.most}) + " partly held", string(s.all) + " held",
		string(s.reserved) + " reserved", string(s.claimed) + " claimed", string(s.twice) + " held twice",
	}
	for i, name := range m.pools {
		entries = append(entries, fmt.Sprintf("%c pool %s", letterOf(i), name))
	}
	line := ""
	for _, entry := range entries {
		if line != "" && utf8.RuneCountInString(line)+2+utf8.RuneCountInString(entry) > width {
			fmt.Fprintln(b, line)
			line = ""
		}
		if line != "" {
			line += "  "
		}
		line += entry
	}
	fmt.Fprintln(b, line)
}
