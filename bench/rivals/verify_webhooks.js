// Reads {"secret": ..., "requests": [{"headers": ..., "body": ...}, ...]} from standard input and prints how many of the
// requests the official verifier of Standard Webhooks for JavaScript accepts.
const { Webhook } = require("standardwebhooks");

let text = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (part) => { text += part; });
process.stdin.on("end", () => {
  const { secret, requests } = JSON.parse(text);
  const webhook = new Webhook(secret);
  const accepted = requests.filter(({ headers, body }) => {
    try {
      webhook.verify(body, headers);
      return true;
    } catch (error) {
      if (error.name !== "WebhookVerificationError") throw error;
      return false;
    }
  });
  console.log(accepted.length);
});
