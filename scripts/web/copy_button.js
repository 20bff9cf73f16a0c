// Streamlit mounts this component with data = {text, label, done}: the text to copy, the button's name, "copied".
export default function ({ parentElement, data }) {
  const button = parentElement.querySelector("button");
  button.title = button.ariaLabel = data.label;
  button.onclick = async () => {
    if (navigator.clipboard) await navigator.clipboard.writeText(data.text);
    else {  // a page that is neither on localhost nor served by https
      const area = document.createElement("textarea");
      area.value = data.text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.dataset.done = data.done;
    setTimeout(() => delete button.dataset.done, 1500);
  };
}
