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

// Command probe is the program of the image that tests run: it tells over HTTP
// what it may do.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "cat" {
		for _, path := range os.Args[2:] {
			content, err := os.ReadFile(path)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			fmt.Print(string(content))
		}
		return
	}
	answer := func(path string, f func(path string) (string, error)) {
		http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			text, err := f(r.URL.Query().Get("path"))
			if err != nil {
				http.Error(w, err.Error(), http.StatusForbidden)
				return
			}
			fmt.Fprint(w, text)
		})
	}
	answer("/read", func(path string) (string, error) {
		content, err := os.ReadFile(path)
		return string(content), err
	})
	answer("/write", func(path string) (string, error) { return "", os.WriteFile(path, []byte("written\n"), 0o644) })
	answer("/stat", func(path string) (string, error) {
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		return info.Mode().String(), nil
	})
	answer("/environ", func(string) (string, error) { return strings.Join(os.Environ(), "\n"), nil })
	answer("/args", func(string) (string, error) { return strings.Join(os.Args, " "), nil })
	fmt.Println("probe is up")
	if err := http.ListenAndServe(":8080", nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
