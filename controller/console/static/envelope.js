// Puts the text of a chosen file into the form; nothing is sent before a person says so.

const file = document.getElementById("envelope-file");
const MOST_BYTES = 262_144;

file.addEventListener("change", async () => {
  const chosen = file.files[0];
  const area = document.getElementById("envelope");
  file.setCustomValidity(chosen && chosen.size > MOST_BYTES ? "This file is too long for a signed command." : "");
  if (chosen && file.reportValidity()) area.value = await chosen.text();
});
