// An identity provider for the tests: OpenID Connect on a loopback port, with people whom standard input names.
//
// usage: provider PORT CLIENT_ID CLIENT_SECRET
//
// Each line of standard input is a JSON object, the person who signs in next: Subject, Email, EmailVerified, Groups.
// Whoever signs in without one is jane.doe@example.com. It ends with its standard input.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"

	"github.com/oauth2-proxy/mockoidc"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: provider PORT CLIENT_ID CLIENT_SECRET")
	}
	server, err := mockoidc.NewServer(nil)
	if err != nil {
		log.Fatal(err)
	}
	server.ClientID, server.ClientSecret = os.Args[2], os.Args[3]
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Start(listener, nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println(server.Issuer())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		user := mockoidc.MockUser{}
		if err := json.Unmarshal(lines.Bytes(), &user); err != nil {
			log.Fatal(err)
		}
		server.QueueUser(&user)
	}
}
