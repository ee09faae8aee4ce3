// server PORT CERTIFICATE CURVE [CA]: Go's crypto/tls, TLS 1.3 alone; sends back the first line of each connection.
// With an authority it wants a certificate of it from the client.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strconv"
)

func main() {
	pair, err := tls.LoadX509KeyPair(os.Args[2], os.Args[2])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	curve, _ := strconv.Atoi(os.Args[3])
	config := &tls.Config{
		Certificates:     []tls.Certificate{pair},
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.CurveID(curve)},
	}
	if len(os.Args) > 4 {
		pem, err := os.ReadFile(os.Args[4])
		config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if err != nil || !config.ClientCAs.AppendCertsFromPEM(pem) {
			fmt.Println("no authority")
			os.Exit(1)
		}
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:"+os.Args[1], config)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			os.Exit(1)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			fmt.Println(err)
		}
		fmt.Fprint(conn, line)
		conn.Close()
	}
}
