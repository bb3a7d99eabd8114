package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Licences, and notes of licences, as authors put them into their files.
const (
	isc = `Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby
granted, provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.
`
	apache = `Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in
compliance with the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
governing permissions and limitations under the License.
`
	gpl = `This program is free software: you can redistribute it and/or modify it under the terms of the GNU General
Public License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any
later version. This program is distributed in the hope that it will be useful, but WITHOUT ANY WARRANTY; without even
the implied warranty of MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE. See the GNU General Public License for more
details. You should have received a copy of the GNU General Public License along with this program. If not, see
<https://www.gnu.org/licenses/>.
`
	mpl = `This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0. If a copy of the MPL was
not distributed with this file, You can obtain one at https://mozilla.org/MPL/2.0/.
`
)

func TestOnlyLicencesThatAskForTheirNoticeAreAccepted(t *testing.T) {
	for _, c := range []struct {
		name, body string
		kinds      []string
		err        string
	}{
		{"one", "Copyright (c) 2026 Somebody\n\n" + isc, []string{"ISC"}, ""},
		{"two", apache + isc, []string{"Apache-2.0", "ISC"}, ""},
		{"copyleft", gpl, nil, "GPL-3.0"},
		{"copyleft of files", mpl, nil, "MPL-2.0"},
		{"one of them copyleft", isc + gpl, nil, "GPL-3.0"},
		{"its own terms", "All rights reserved. Ask us.", nil, "0%"},
		{"an addition", isc + strings.Repeat("The Software shall be used for Good, not Evil. ", 20), nil, "read it"},
		{"nothing", "", nil, "0%"},
	} {
		got, err := kindsOf([]byte(c.body))
		if !slices.Equal(got, c.kinds) || (err == nil) != (c.err == "") {
			t.Errorf("%s: got %q, %v; want %q, %q", c.name, got, err, c.kinds, c.err)
		}
		if err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: got %v, want %q in it", c.name, err, c.err)
		}
	}
}

// The texts of a module are its own, and those beside the code that it copied, where that code is linked.
func TestTheTextsOfAModuleAreThoseOnTheWayToWhatIsLinked(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{
		"LICENSE": apache, "NOTICE": "who made it", "licenses.go": "package x", "README.md": "read me",
		"forked/LICENCE.txt": isc, "forked/pkg/a.go": "package pkg", "unused/COPYING": gpl,
		"licenses/other.txt": gpl, // a directory
	} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), body)
	}
	texts, err := textsOf(dir, []string{dir, filepath.Join(dir, "forked", "pkg")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, t := range texts {
		got = append(got, t.name+" "+strings.Join(t.kinds, " "))
	}
	if want := []string{"LICENSE Apache-2.0", "NOTICE ", "forked/LICENCE.txt ISC"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := textsOf(dir, []string{filepath.Join(dir, "unused")}); err == nil ||
		!strings.Contains(err.Error(), "unused/COPYING: GPL-3.0") {
		t.Errorf("with the copyleft linked: %v", err)
	}
	bare := t.TempDir()
	write(t, filepath.Join(bare, "NOTICE"), "who made it")
	if _, err := textsOf(bare, nil); err == nil || !strings.Contains(err.Error(), "no licence file") {
		t.Errorf("without a licence: %v", err)
	}
}

func TestNoticesHaveEachModuleAndEachTextOnce(t *testing.T) {
	shared := text{"LICENSE", "shared text\n", []string{"MIT"}}
	got := string(noticesOf(plugin, []module{
		{"example.com/a", "v1.0.0", []text{shared, {"NOTICE", "made by a\n", nil}}},
		{"example.com/b", "v2.0.0", []text{shared, {"forked/LICENSE", "other text\n", []string{"BSD-3-Clause", "MIT"}}}},
	}))
	line := strings.Repeat("=", 80)
	want := `kubectl-xcpauth contains these modules. Each comes under its own licence, whose text follows.

  example.com/a v1.0.0  MIT
  example.com/b v2.0.0  BSD-3-Clause, MIT

` + line + `

LICENSE of example.com/a v1.0.0
LICENSE of example.com/b v2.0.0

shared text

` + line + `

NOTICE of example.com/a v1.0.0

made by a

` + line + `

forked/LICENSE of example.com/b v2.0.0

other text
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What either program links today has licences that allow it.
func TestEveryLinkedModuleHasALicenceThatAllowsIt(t *testing.T) {
	for _, p := range []program{plugin, webhook} {
		modules, err := linkedModules(filepath.Join("..", ".."), p)
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
			continue
		}
		kinds := map[string]int{}
		for _, m := range modules {
			for _, k := range m.kinds() {
				kinds[k]++
			}
		}
		t.Logf("%s: %d modules, %v", p.name, len(modules), kinds)
		there := func(path string) bool {
			return slices.ContainsFunc(modules, func(m module) bool { return m.path == path })
		}
		// std is in each; mousetrap is linked on Windows alone, and the webhook is not built for it
		if !there("std") || !there("k8s.io/client-go") || there("github.com/inconshreveable/mousetrap") != (p == plugin) {
			t.Errorf("%s: this is not what it links: %v", p.name, modules)
		}
	}
}
