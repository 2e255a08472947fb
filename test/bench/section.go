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

package main

import "strings"

// section is a part of the page that is measured by itself: it and the others may
// be of different times, and what was not measured stays as it is.
type section struct {
	begins, ends string
	write        func(*report) (string, error)
}

// sections are in the order of the page. Comments are around each, to find it by.
var sections = []section{
	sectionOf(webhooksName, (*report).admissionSection),
	sectionOf(endpointsName, (*report).endpointsSection),
	sectionOf(dnsName, (*report).dnsSection),
}

func sectionOf(name string, write func(*report) (string, error)) section {
	return section{"<!-- " + name + ": measured by bench -only=" + name + " -->\n", "<!-- end of " + name + " -->\n", write}
}

// in finds the section in a page, empty where it has none.
func (s section) in(page string) string {
	_, rest, found := strings.Cut(page, s.begins)
	text, _, ends := strings.Cut(rest, s.ends)
	if !found || !ends {
		return ""
	}
	return s.begins + text + s.ends
}

// sectionsWith are all of a page's, those of the report in place of the page's.
func (r *report) sectionsWith(page string) (all string, err error) {
	for _, s := range sections {
		text, err := s.write(r)
		if err != nil {
			return "", err
		}
		if text == "" {
			all += s.in(page)
		} else {
			all += s.begins + text + s.ends
		}
	}
	return all, nil
}

// replaceSections puts all sections where the first of them is, or at the end.
func replaceSections(page, all string) string {
	at := len(page)
	for _, s := range sections {
		if was := s.in(page); was != "" {
			at = min(at, strings.Index(page, s.begins))
			page = strings.Replace(page, was, "", 1)
		}
	}
	return page[:at] + all + page[at:]
}
