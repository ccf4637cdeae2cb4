// What Google's SDKs show instead of a key: here the gateway's key, as if it were a token.
import { OAuth2Client } from "google-auth-library";

export function bearer({ api_key: key }) {
  const client = new OAuth2Client();
  client.setCredentials({ access_token: key });
  return client;
}
